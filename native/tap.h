// TAP and TUN devices: making them, and asking what they are now. What moves frames is in tap-queue.
#ifndef VTEPD_TAP_H_
#define VTEPD_TAP_H_

#include <napi.h>

#include <optional>
#include <string>

namespace vtepd {

// What the kernel may leave undone in frames read from a TAP; each level has the ones before it.
enum class TapOffload { kNone, kChecksum, kTso, kUso, kTunnel };

// "none", "checksum", "tso", "uso" or "tunnel".
std::optional<TapOffload> ReadOffload(const std::string& text);

// Argument of TUNSETOFFLOAD.
unsigned long OffloadBits(TapOffload level);

// Argument of TUNSETVNETHDRSZ.
int VnetHeaderBytes(TapOffload level);

Napi::Value OpenTap(const Napi::CallbackInfo& info);
Napi::Value TapInfo(const Napi::CallbackInfo& info);
void SetTapMtu(const Napi::CallbackInfo& info);

}  // namespace vtepd

#endif  // VTEPD_TAP_H_
