// Answers requests about the addon's pure functions: tests drive it to see segmentation, merging and checksums without
// devices. verbs.h tells how to ask.
#include <iostream>
#include <sstream>
#include <string>

#include "verbs.h"

namespace vtepd::tools {

namespace {

using Verb = bool (*)(std::istream&, std::ostream&);

Verb FindVerb(const std::string& name) {
  if (name == "split") return SplitVerb;
  if (name == "checksum") return ChecksumVerb;
  if (name == "complete") return CompleteVerb;
  if (name == "merge") return MergeVerb;
  if (name == "fragments") return FragmentsVerb;
  return nullptr;
}

std::string Answer(const std::string& line) {
  std::istringstream arguments(line);
  std::string name;
  arguments >> name;
  const Verb verb = FindVerb(name);
  if (verb == nullptr) return "expected a verb, got " + name;
  std::ostringstream answer;
  return verb(arguments, answer) ? answer.str() : "wrong arguments for " + name;
}

}  // namespace

}  // namespace vtepd::tools

int main() {
  std::string line;
  while (std::getline(std::cin, line)) std::cout << vtepd::tools::Answer(line) << std::endl;
  return 0;
}
