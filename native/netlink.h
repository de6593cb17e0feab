// One request to the kernel's routing netlink, and its answer: rtnetlink(7).
#ifndef VTEPD_NETLINK_H_
#define VTEPD_NETLINK_H_

#include <linux/netlink.h>

#include <string>

#include "errno.h"

namespace vtepd {

// Sends the whole request, which must ask for an acknowledgement (NLM_F_ACK), in the present network namespace, and
// waits for that. `call` names the request in errors, `subject` what it is about.
SystemError AskNetlink(const nlmsghdr& request, const char* call, const std::string& subject);

}  // namespace vtepd

#endif  // VTEPD_NETLINK_H_
