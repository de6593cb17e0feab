#include <string>

#include "verbs.h"

namespace vtepd::tools {

namespace {

constexpr char DIGITS[] = "0123456789abcdef";

int DigitValue(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<std::vector<uint8_t>> ReadBytes(std::istream& arguments) {
  std::string word;
  if (!(arguments >> word)) return std::nullopt;
  if (word == "-") return std::vector<uint8_t>();
  if (word.size() % 2 != 0) return std::nullopt;
  // Not one byte longer than the data, so that a sanitizer sees a read behind them.
  std::vector<uint8_t> bytes(word.size() / 2);
  for (size_t i = 0; i < bytes.size(); i++) {
    const int high = DigitValue(word[2 * i]);
    const int low = DigitValue(word[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return bytes;
}

std::optional<FrameKind> ReadKind(std::istream& arguments) {
  std::string word;
  arguments >> word;
  if (word == "ethernet") return FrameKind::kEthernet;
  if (word == "ip") return FrameKind::kIpPacket;
  return std::nullopt;
}

void WriteBytes(std::ostream& answer, const uint8_t* data, size_t length) {
  if (length == 0) answer << '-';
  for (size_t i = 0; i < length; i++) answer << DIGITS[data[i] >> 4] << DIGITS[data[i] & 15];
}

}  // namespace vtepd::tools
