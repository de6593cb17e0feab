#include "tap-queue.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "coalesce.h"
#include "frame.h"
#include "segment.h"

namespace vtepd {

namespace {

// virtio_net_hdr.flags: csum_start and csum_offset say where the receiver must complete a checksum.
constexpr uint8_t NEEDS_CSUM = 1;
// Bits of virtio_net_hdr.gso_type that come beside the type.
constexpr uint8_t GSO_ECN = 0x80;
constexpr uint8_t GSO_ACCECN = 0x10;

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

// What the kernel left undone: a checksum, or the cutting of a superframe too.
void ReadVnetHeader(const uint8_t* at, abi::Frame& frame) {
  abi::VnetHeader header;
  memcpy(&header, at, sizeof(header));
  if ((header.flags & NEEDS_CSUM) == 0) return;
  frame.flags |= abi::FLAG_PARTIAL_CSUM;
  frame.csum = header.csum_start | header.csum_offset << 16;
  const uint8_t type = header.gso_type & static_cast<uint8_t>(~(GSO_ECN | GSO_ACCECN));
  if (type == 0 || header.gso_size == 0) return;
  frame.gso = header.gso_size | type << 16;
  // The header's own hdr_len is not to be trusted for forwarded frames.
  const int32_t payload = frame.length - (frame.headers & 0xffff);
  if (frame.headers != 0 && payload > 0) frame.segments = (payload + header.gso_size - 1) / header.gso_size;
}

}  // namespace

int32_t ReadFrames(Port& port, Memory& memory, Parts& parts, int32_t first, int32_t& slot, PortState& state) {
  const FrameKind kind = port.header.Kind();
  const int32_t vnet_bytes = port.Has(abi::FEATURE_VNET_HEADER) ? abi::VNET_HEADER_BYTES : 0;
  int32_t next = first;
  while (next < abi::BATCH_FRAMES && slot < abi::TAP_SLOTS) {
    uint8_t* const data = memory.TapSlot(slot) + abi::SLOT_HEADROOM;
    // The vnet header goes into the headroom, so that the frame starts where every frame starts.
    const ssize_t got = Read(port.fd, data - vnet_bytes, abi::SLOT_BYTES - abi::SLOT_HEADROOM + vnet_bytes);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      memory.AddStatus(abi::STATUS_RX_ERRORS, 1);
      if (IsGone(errno) || ++port.failed_reads >= MAX_FAILED_READS) state = PortState::kGone;
      break;
    }
    port.failed_reads = 0;
    slot++;
    parts.Reset(next);
    abi::Frame& frame = memory.FrameAt(next++);
    frame.port = port.id;
    frame.offset = memory.OffsetOf(data);
    frame.length = static_cast<int32_t>(got) - vnet_bytes;
    frame.segments = 1;
    DescribeWithHash(data, frame.length, kind, frame);
    if (vnet_bytes != 0 && frame.length > 0) ReadVnetHeader(data - vnet_bytes, frame);
  }
  return next - first;
}

namespace {

int32_t Write(const Port& port, const iovec* pieces, int count, PortState& state) {
  ssize_t written;
  do {
    written = WriteParts(port.fd, pieces, count);
  } while (written < 0 && errno == EINTR);
  if (written >= 0) return 0;
  if (IsGone(errno)) state = PortState::kGone;
  return errno;
}

// A frame whose sender left something to its device, for a TAP that has no vnet header to pass that on: done here.
int32_t WriteFinished(const Port& port, abi::Frame& frame, Bytes bytes, PortState& state) {
  const uint32_t gso = static_cast<uint32_t>(Memory::Load(frame.gso));
  if (gso == 0) {
    const uint32_t csum = static_cast<uint32_t>(Memory::Load(frame.csum));
    if (!CompleteChecksum(bytes.data, bytes.length, csum & 0xffff, csum >> 16)) return EINVAL;
    frame.flags &= ~abi::FLAG_PARTIAL_CSUM;  // Another copy of it must not do so again.
    const iovec piece = {bytes.data, bytes.length};
    return Write(port, &piece, 1, state);
  }
  const Superframe superframe = {bytes.data, bytes.length, static_cast<uint8_t>(gso >> 16), static_cast<uint16_t>(gso),
                                 Memory::KindOf(frame)};
  SegmentPlan plan;
  if (!PlanSegments(superframe, plan)) return EINVAL;
  int32_t result = 0;
  for (uint32_t segment = 0; segment < plan.count; segment++) {
    uint8_t header[MAX_SEGMENT_HEADER];
    WriteSegmentHeader(superframe, plan, segment, header);
    const iovec pieces[2] = {{header, plan.header_length},
                             {bytes.data + plan.header_length + segment * plan.gso_size, plan.PayloadLength(segment)}};
    if (const int32_t error = Write(port, pieces, 2, state)) result = error;
  }
  return result;
}

}  // namespace

int32_t WriteFrame(const Port& port, abi::Frame& frame, Bytes bytes, const Parts::Row& row, const Parts& parts,
                   PortState& state) {
  const bool is_unfinished = (Memory::Load(frame.flags) & abi::FLAG_PARTIAL_CSUM) != 0;
  if (is_unfinished && !port.Has(abi::FEATURE_VNET_HEADER)) {
    return row.count == 0 ? WriteFinished(port, frame, bytes, state) : EINVAL;
  }
  abi::VnetHeader header = MakeVnetHeader(frame);
  iovec pieces[2 + Group::MAX_SEGMENTS];
  int count = 0;
  if (port.Has(abi::FEATURE_VNET_HEADER)) pieces[count++] = {&header, sizeof(header)};
  pieces[count++] = {bytes.data, bytes.length};
  for (int32_t i = 0; i < row.count; i++) pieces[count++] = parts.At(row.first + i);
  return Write(port, pieces, count, state);
}

}  // namespace vtepd
