// Takes the queueing discipline away from a TAP.
//
// The tun driver never stops a queue: what its ring cannot hold it drops, so nothing ever waits in a qdisc before it.
// But the default one (pfifo_fast: three rings of txqueuelen) is made for each of the 256 queues that a multi-queue
// device has inside the kernel, used or not: 25 MB a device with a txqueuelen of 4096.
#ifndef VTEPD_QDISC_H_
#define VTEPD_QDISC_H_

#include <string>

#include "errno.h"

namespace vtepd {

// Gives the device `ifindex` of the present namespace the qdisc `noqueue`, which the kernel's own tunnel devices have.
// The device should be down: the default is made when it goes up without one.
SystemError RemoveQdisc(int ifindex, const std::string& name);

}  // namespace vtepd

#endif  // VTEPD_QDISC_H_
