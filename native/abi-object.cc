#include "abi-object.h"

#include "abi.h"

namespace vtepd::abi {

namespace {

struct Row {
  const char* name;
  int32_t value;
};

#define ROW(name) \
  { #name, name }
constexpr Row ROWS[] = {
    ROW(BATCH_FRAMES),
    ROW(TAP_SLOTS),
    ROW(UDP_SLOTS),
    ROW(SLOT_BYTES),
    ROW(SLOT_HEADROOM),
    ROW(ARENA_BYTES),
    ROW(VNET_HEADER_BYTES),
    ROW(TUNNEL_VNET_HEADER_BYTES),
    ROW(FRAME_WORDS),
    ROW(FRAME_PORT),
    ROW(FRAME_OFFSET),
    ROW(FRAME_LENGTH),
    ROW(FRAME_FLAGS),
    ROW(FRAME_DST_HI),
    ROW(FRAME_DST_LO),
    ROW(FRAME_SRC_HI),
    ROW(FRAME_SRC_LO),
    ROW(FRAME_FLOW_HASH),
    ROW(FRAME_CSUM),
    ROW(FRAME_GSO),
    ROW(FRAME_HEADERS),
    ROW(FRAME_SOURCE),
    ROW(FRAME_DESTINATION),
    ROW(FRAME_SOURCE_PORT),
    ROW(FRAME_HEADER_OFFSET),
    ROW(FRAME_DATAGRAM_LENGTH),
    ROW(FRAME_TOS),
    ROW(FRAME_SEGMENTS),
    ROW(FRAME_INNER_IP),
    ROW(FRAME_VERDICT),
    ROW(FRAME_TARGET),
    ROW(FRAME_BD),
    ROW(FLAG_PARTIAL_CSUM),
    ROW(FLAG_IPV4),
    ROW(FLAG_IPV6),
    ROW(FLAG_TCP),
    ROW(FLAG_UDP),
    ROW(FLAG_FRAGMENT),
    ROW(FLAG_TRUNCATED),
    ROW(FLAG_VLAN),
    ROW(FLAG_BAD_OUTER_CSUM),
    ROW(INNER_DF),
    ROW(GSO_TCPV4),
    ROW(GSO_TCPV6),
    ROW(GSO_UDP_L4),
    ROW(ACTION_WORDS),
    ROW(MAX_ACTIONS),
    ROW(ACTION_PORT),
    ROW(ACTION_FRAME),
    ROW(ACTION_TEMPLATE),
    ROW(ACTION_TEMPLATE_LENGTH),
    ROW(ACTION_VTEP),
    ROW(ACTION_RESULT),
    ROW(ACTION_OUTER),
    ROW(ACTION_BD),
    ROW(OUTER_TOS),
    ROW(OUTER_TTL),
    ROW(OUTER_DF),
    ROW(VTEP_ADDRESS_BYTES),
    {"AF_INET", AF_INET},  // Macros: the names would be expanded.
    {"AF_INET6", AF_INET6},
    ROW(STATUS_WORDS),
    ROW(STATUS_NOW_S),
    ROW(STATUS_WOKEN),
    ROW(STATUS_GONE),
    ROW(STATUS_RX_OVERFLOW),
    ROW(STATUS_RX_ERRORS),
    ROW(STATUS_GSO_REFUSED),
    ROW(STATUS_GSO_LOST),
    ROW(STATUS_NOW_MS),
    ROW(PORT_TAP),
    ROW(PORT_UDP_RX),
    ROW(PORT_UDP_TX),
    ROW(PORT_TAP_TX),
    ROW(PORT_UPLINK),
    ROW(PORT_PACKET_RX),
    ROW(FEATURE_VNET_HEADER),
    ROW(FEATURE_SEGMENT),
    ROW(FEATURE_MERGE_TCP),
    ROW(FEATURE_MERGE_UDP),
    ROW(MAX_PORTS),
};
#undef ROW

}  // namespace

Napi::Object MakeAbiObject(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  for (const Row& row : ROWS) object.Set(row.name, Napi::Number::New(env, row.value));
  object.Freeze();
  return object;
}

}  // namespace vtepd::abi
