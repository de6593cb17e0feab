// The verb `fragments NOW MESSAGE NOW MESSAGE...`: what becomes of messages of a packet socket without link header that
// come at these seconds. The answer has two words for each: `none`, `waiting`, `invalid` or the message of the whole
// packet, and how many packets were given up by then.
#include "../fragments.h"
#include "verbs.h"

namespace vtepd::tools {

namespace {

constexpr uint32_t ROOM = 66'000;

}  // namespace

bool FragmentsVerb(std::istream& arguments, std::ostream& answer) {
  Fragments fragments;
  fragments.Prepare();
  const char* separator = "";
  while (!(arguments >> std::ws).eof()) {
    int32_t now_s;
    if (!(arguments >> now_s)) return false;
    std::optional<std::vector<uint8_t>> message = ReadBytes(arguments);
    if (!message || message->size() > ROOM) return false;
    uint32_t length = static_cast<uint32_t>(message->size());
    message->resize(ROOM);
    const Fragments::Outcome outcome = fragments.Take(0, now_s, 0, message->data(), length, ROOM);
    answer << separator;
    separator = " ";
    if (outcome == Fragments::Outcome::kNone) answer << "none";
    if (outcome == Fragments::Outcome::kWaiting) answer << "waiting";
    if (outcome == Fragments::Outcome::kInvalid) answer << "invalid";
    if (outcome == Fragments::Outcome::kComplete) WriteBytes(answer, message->data(), length);
    answer << ' ' << fragments.TakeLost();
  }
  return true;
}

}  // namespace vtepd::tools
