#include "descriptors.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>

#include "errno.h"
#include "options.h"

namespace vtepd {

namespace {

// More gain little: they all wait for the same thing.
constexpr size_t MAX_THREADS = 64;

struct ClosingList {
  const int32_t* fds;
  size_t count;
  std::atomic<size_t> next{0};
};

// Takes one descriptor after the other, beside other threads that do the same.
void* CloseSome(void* argument) {
  ClosingList& list = *static_cast<ClosingList*>(argument);
  for (size_t i = list.next++; i < list.count; i = list.next++) close(list.fds[i]);
  return nullptr;
}

}  // namespace

void CloseFd(const Napi::CallbackInfo& info) {
  const std::optional<int32_t> fd = IntegerArgument(info, 0, "closeFd: fd", 0, INT32_MAX);
  if (!fd) return;
  // On Linux the descriptor is free even when close() says EINTR; trying again could close another thread's.
  if (close(*fd) != 0 && errno != EINTR) Throw(info.Env(), LastError("close", std::to_string(*fd)));
}

void CloseAll(const int32_t* fds, size_t count) {
  ClosingList list{fds, count};
  pthread_t threads[MAX_THREADS];
  size_t started = 0;
  // This thread is one of them, and the only one where no other can be had.
  const size_t wanted = std::min(list.count, MAX_THREADS);
  while (started + 1 < wanted && pthread_create(&threads[started], nullptr, CloseSome, &list) == 0) started++;
  CloseSome(&list);
  for (size_t i = 0; i < started; i++) pthread_join(threads[i], nullptr);
}

}  // namespace vtepd
