// Who is at the other end of a connection: SO_PEERCRED, unix(7).
#ifndef VTEPD_PEER_CREDENTIALS_H_
#define VTEPD_PEER_CREDENTIALS_H_

#include <napi.h>

namespace vtepd {

Napi::Value PeerCredentials(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_PEER_CREDENTIALS_H_
