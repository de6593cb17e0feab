#include "thread.h"

#include <sched.h>

#include <string>

#include "errno.h"
#include "options.h"

namespace vtepd {

void PinThread(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> cpu = IntegerArgument(info, 0, "pinThread: cpu", 0, CPU_SETSIZE - 1);
  if (!cpu) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(*cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) {
    Throw(info.Env(), LastError("sched_setaffinity", "CPU " + std::to_string(*cpu)));
  }
}

}  // namespace vtepd
