// Removes many TAP devices in one go.
//
// A device goes with its last descriptor, and that close() waits for all CPUs several times (unregister_netdevice):
// tens of milliseconds, minutes for thousands of devices. The kernel removes all devices of a group with one wait. So
// the devices are put into a group that nobody else uses, and the group is deleted.
#ifndef VTEPD_TAP_REMOVAL_H_
#define VTEPD_TAP_REMOVAL_H_

#include <napi.h>

namespace vtepd {

// removeTaps(fds: Int32Array, isHeldElsewhere?: boolean): void. Closes the descriptors, after removing the devices
// behind them that are in the present namespace as a group; what is elsewhere goes by close(), side by side. Errors are
// not told: nothing of ours is left to be wrong.
void RemoveTaps(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_TAP_REMOVAL_H_
