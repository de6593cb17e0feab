// Moves a network device to another network namespace.
#ifndef VTEPD_LINK_MOVE_H_
#define VTEPD_LINK_MOVE_H_

#include <string>

#include "errno.h"

namespace vtepd {

// Moves the device `ifindex` of the present namespace to the one behind a borrowed descriptor and gives it its name
// there. The device must be down. When the name is taken (EEXIST), the device may be there under its old name.
SystemError MoveLink(int ifindex, int netns_fd, const std::string& name);

}  // namespace vtepd

#endif  // VTEPD_LINK_MOVE_H_
