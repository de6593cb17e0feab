#include "tap-queue.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "frame.h"

namespace vtepd {

namespace {

// virtio_net_hdr.flags: csum_start and csum_offset say where the receiver must complete a checksum.
constexpr uint8_t NEEDS_CSUM = 1;

// A read that fails has consumed its frame, so the next one may succeed. After this many without success it will not,
// and a level-triggered descriptor that can never be read would keep the worker awake for ever.
constexpr uint32_t MAX_FAILED_READS = 1024;

// Straight to the kernel: libc's read and writev are cancellation points, which a process with threads pays for with
// two atomic operations a call, 2 % of all cycles at 64-byte frames.
ssize_t Read(int fd, void* buffer, size_t size) {
  return syscall(SYS_read, fd, buffer, size);
}
ssize_t WriteParts(int fd, const iovec* parts, int count) {
  return syscall(SYS_writev, fd, parts, count);
}

bool IsGone(int error) {
  return error == EBADFD || error == ENODEV || error == ENXIO;
}

abi::VnetHeader MakeVnetHeader(const abi::Frame& frame) {
  abi::VnetHeader header{};
  if ((Memory::Load(frame.flags) & abi::FLAG_PARTIAL_CSUM) == 0) return header;
  const uint32_t csum = static_cast<uint32_t>(Memory::Load(frame.csum));
  header.flags = NEEDS_CSUM;
  header.csum_start = static_cast<uint16_t>(csum);
  header.csum_offset = static_cast<uint16_t>(csum >> 16);
  const uint32_t gso = static_cast<uint32_t>(Memory::Load(frame.gso));
  if (gso == 0) return header;
  header.gso_size = static_cast<uint16_t>(gso);
  header.gso_type = static_cast<uint8_t>(gso >> 16);
  header.hdr_len = static_cast<uint16_t>(Memory::Load(frame.headers));
  return header;
}

}  // namespace

int32_t ReadFrames(Port& port, Memory& memory, int32_t first, PortState& state) {
  int32_t next = first;
  while (next < abi::BATCH_FRAMES) {
    uint8_t* const data = memory.Slot(next) + abi::SLOT_HEADROOM;
    // The header goes into the headroom, so that the frame starts where every frame starts.
    uint8_t* const buffer = data - abi::VNET_HEADER_BYTES;
    const ssize_t got = Read(port.fd, buffer, abi::SLOT_BYTES - abi::SLOT_HEADROOM + abi::VNET_HEADER_BYTES);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      memory.AddStatus(abi::STATUS_RX_ERRORS, 1);
      if (IsGone(errno) || ++port.failed_reads >= MAX_FAILED_READS) state = PortState::kGone;
      break;
    }
    port.failed_reads = 0;
    abi::Frame& frame = memory.FrameAt(next++);
    frame.port = port.id;
    frame.offset = memory.OffsetOf(data);
    frame.length = static_cast<int32_t>(got) - abi::VNET_HEADER_BYTES;
    DescribeWithHash(data, frame.length, frame);
  }
  return next - first;
}

int32_t WriteFrame(const Port& port, const abi::Frame& frame, Bytes bytes, PortState& state) {
  abi::VnetHeader header = MakeVnetHeader(frame);
  const iovec parts[2] = {{&header, sizeof(header)}, {bytes.data, bytes.length}};
  ssize_t written;
  do {
    written = WriteParts(port.fd, parts, 2);
  } while (written < 0 && errno == EINTR);
  if (written >= 0) return 0;
  if (IsGone(errno)) state = PortState::kGone;
  return errno;
}

}  // namespace vtepd
