// Datagrams to a service manager: sd_notify(3), without its library.
#ifndef VTEPD_NOTIFICATION_H_
#define VTEPD_NOTIFICATION_H_

#include <napi.h>

namespace vtepd {

void SendNotification(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_NOTIFICATION_H_
