// How it works
//
// The kernel can cut superframes in GRE and IP tunnels as long as it knows that they are such: where the inner headers
// begin, and a bit for the tunnel's kind. Its tunnel devices say so when they encapsulate; a vnet header has words for
// UDP tunnels only. One more thing that encapsulates is a BPF program, by bpf_skb_adjust_room. So a superframe is
// written to the uplink with all of its headers, and a program on the device takes the outer ones off and puts them on
// again: what leaves is the same packet, and the kernel knows. Everything that is no superframe passes by.
//
// It is attached by a tcx link, which goes with its descriptor or with the device, whichever is first.
#include "tunnel-program.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "errno.h"
#include "fd.h"
#include "netns.h"
#include "options.h"

namespace vtepd {

namespace {

// Younger than the headers of some build hosts.
constexpr auto TCX_INGRESS = static_cast<bpf_attach_type>(46);
constexpr int32_t TCX_NEXT = -1;
constexpr int32_t DECAPSULATE_IPV6_SHIFT = 8;  // BPF_F_ADJ_ROOM_DECAP_L3_IPV6, Linux 6.3.
constexpr int32_t ENCAPSULATE_LINK_SHIFT = 56;
constexpr int32_t FIXED_GSO = 1;
constexpr int32_t ROOM_AT_MAC = 1;

constexpr int32_t ETHERNET = 14;
constexpr int32_t SOURCE_MAC = 6;
constexpr int32_t MIN_TUNNEL_HEADER = 20;

// Offsets from the frame pointer.
constexpr int16_t HEADERS = -static_cast<int16_t>(MAX_TUNNEL_HEADER);
constexpr int16_t HINT = HEADERS - 8;

constexpr uint32_t NO_DEVICE = INT32_MAX;

// Registers: R0 result, R1..R5 arguments, R6 context, R7 bytes of the headers, R10 frame pointer.
class Assembler {
 public:
  void Add(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<uint8_t>(code);
    instruction.dst_reg = static_cast<uint8_t>(to & 15);
    instruction.src_reg = static_cast<uint8_t>(from & 15);
    instruction.off = offset;
    instruction.imm = value;
    code_.push_back(instruction);
  }
  void Set(uint8_t to, int32_t value) { Add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void Copy(uint8_t to, uint8_t from) { Add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void SetPointer(uint8_t to, int16_t offset) {
    Copy(to, BPF_REG_10);
    Add(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, offset);
  }
  void LoadHint(uint8_t to, size_t member) {
    Add(BPF_LDX | BPF_B | BPF_MEM, to, BPF_REG_10, static_cast<int16_t>(HINT + static_cast<int16_t>(member)), 0);
  }
  void Call(int32_t function) { Add(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
  // To the end, where the packet is dropped, or passes on.
  void Drop(int comparison, uint8_t reg, int32_t value) {
    drops_.push_back(code_.size());
    Add(BPF_JMP | comparison | BPF_K, reg, 0, 0, value);
  }
  void PassIfZero(uint8_t reg) {
    passes_.push_back(code_.size());
    Add(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, 0, 0);
  }

  std::vector<bpf_insn> Finish() {
    Land(passes_);
    Set(BPF_REG_0, TCX_NEXT);
    Add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    Land(drops_);
    Set(BPF_REG_0, TC_ACT_SHOT);
    Add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    return code_;
  }

 private:
  void Land(const std::vector<size_t>& jumps) {
    for (const size_t jump : jumps) code_[jump].off = static_cast<int16_t>(code_.size() - jump - 1);
  }

  std::vector<bpf_insn> code_;
  std::vector<size_t> drops_;
  std::vector<size_t> passes_;
};

// Calls a helper that moves bytes between packet and stack, 0 when it did.
void MoveBytes(Assembler& program, int32_t helper, int32_t packet_offset, int16_t stack_offset) {
  program.Copy(BPF_REG_1, BPF_REG_6);
  program.Set(BPF_REG_2, packet_offset);
  program.SetPointer(BPF_REG_3, stack_offset);
  program.Set(BPF_REG_5, 0);
  program.Call(helper);
  program.Drop(BPF_JNE, BPF_REG_0, 0);
}

std::vector<bpf_insn> MakeProgram() {
  Assembler program;
  program.Copy(BPF_REG_6, BPF_REG_1);
  program.Add(BPF_LDX | BPF_W | BPF_MEM, BPF_REG_0, BPF_REG_6, offsetof(__sk_buff, gso_size), 0);
  program.PassIfZero(BPF_REG_0);
  for (int16_t offset = HINT; offset < 0; offset = static_cast<int16_t>(offset + 8)) {
    program.Add(BPF_ST | BPF_DW | BPF_MEM, BPF_REG_10, 0, offset, 0);
  }
  program.Set(BPF_REG_4, sizeof(TunnelHint));
  MoveBytes(program, BPF_FUNC_skb_load_bytes, SOURCE_MAC, HINT);
  program.LoadHint(BPF_REG_7, offsetof(TunnelHint, header_bytes));
  program.Drop(BPF_JLT, BPF_REG_7, MIN_TUNNEL_HEADER);
  program.Drop(BPF_JGT, BPF_REG_7, MAX_TUNNEL_HEADER);
  program.Copy(BPF_REG_4, BPF_REG_7);
  MoveBytes(program, BPF_FUNC_skb_load_bytes, ETHERNET, HEADERS);

  program.Copy(BPF_REG_1, BPF_REG_6);
  program.Copy(BPF_REG_2, BPF_REG_7);
  program.Add(BPF_ALU64 | BPF_NEG, BPF_REG_2, 0, 0, 0);
  program.Set(BPF_REG_3, ROOM_AT_MAC);
  program.LoadHint(BPF_REG_4, offsetof(TunnelHint, inner_ipv6));
  program.Add(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_4, 0, 0, DECAPSULATE_IPV6_SHIFT);
  program.Add(BPF_ALU64 | BPF_OR | BPF_K, BPF_REG_4, 0, 0, FIXED_GSO);
  program.Call(BPF_FUNC_skb_adjust_room);
  program.Drop(BPF_JNE, BPF_REG_0, 0);

  program.Copy(BPF_REG_1, BPF_REG_6);
  program.Copy(BPF_REG_2, BPF_REG_7);
  program.Set(BPF_REG_3, ROOM_AT_MAC);
  program.LoadHint(BPF_REG_4, offsetof(TunnelHint, encapsulation));
  program.LoadHint(BPF_REG_5, offsetof(TunnelHint, inner_link));
  program.Add(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_5, 0, 0, ENCAPSULATE_LINK_SHIFT);
  program.Add(BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_4, BPF_REG_5, 0, 0);
  program.Call(BPF_FUNC_skb_adjust_room);
  program.Drop(BPF_JNE, BPF_REG_0, 0);

  program.Copy(BPF_REG_4, BPF_REG_7);
  MoveBytes(program, BPF_FUNC_skb_store_bytes, ETHERNET, HEADERS);
  return program.Finish();
}

int Bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

Fd LoadProgram() {
  const std::vector<bpf_insn> code = MakeProgram();
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.insns = reinterpret_cast<uint64_t>(code.data());
  attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
  memcpy(attributes.prog_name, "vtepd_uplink", sizeof("vtepd_uplink"));
  return Fd(Bpf(BPF_PROG_LOAD, attributes));
}

int Link(int program, uint32_t device) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<uint32_t>(program);
  attributes.link_create.target_ifindex = device;
  attributes.link_create.attach_type = TCX_INGRESS;
  return Bpf(BPF_LINK_CREATE, attributes);
}

SystemError Attach(const std::string& device, const std::string& netns, Fd& link) {
  NetnsVisit visit;
  if (SystemError error = visit.Enter(netns)) return error;
  const uint32_t index = if_nametoindex(device.c_str());
  if (index == 0) return LastError("if_nametoindex", device);
  const Fd program = LoadProgram();
  if (!program.IsOpen()) return LastError("bpf(BPF_PROG_LOAD)", device);
  link = Fd(Link(program.Get(), index));
  return link.IsOpen() ? SystemError{} : LastError("bpf(BPF_LINK_CREATE)", device);
}

}  // namespace

Napi::Value ProbeTunnelProgram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Fd program = LoadProgram();
  if (!program.IsOpen()) return Napi::String::New(env, "bpf(BPF_PROG_LOAD): " + ErrorName(errno));
  // A device that there is not: a kernel with tcx says so, one without it says that it cannot.
  const Fd link(Link(program.Get(), NO_DEVICE));
  return Napi::String::New(env, errno == ENODEV ? "" : "bpf(BPF_LINK_CREATE): " + ErrorName(errno));
}

Napi::Value AttachTunnelProgram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Options options(info, "attachTunnelProgram");
  const std::string device = options.RequiredText("device", IFNAMSIZ - 1);
  const std::string netns = options.Text("netns", 4095).value_or("");
  if (options.Failed()) return env.Undefined();
  Fd link;
  if (const SystemError error = Attach(device, netns, link)) {
    Throw(env, error);
    return env.Undefined();
  }
  return Napi::Number::New(env, link.Release());
}

}  // namespace vtepd
