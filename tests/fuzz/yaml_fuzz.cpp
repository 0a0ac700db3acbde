#include <string>
#include <vector>

#include "config/duration.h"
#include "config/load.h"
#include "config/memory_size.h"
#include "harness.h"

/// Bytes as a configuration; what follows a NUL, which no configuration holds, are `--set` arguments, one
/// behind each.
namespace phase0::fuzz {
namespace {

std::vector<std::string> split_at_nul(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void load_and_dump(const std::string& text, const std::vector<std::string>& overrides) {
  const Options options = config::parse(text, "fuzz.yaml", overrides);
  options.validate();
  const std::string dumped = config::dump(options);
  std::string again;
  try {
    again = config::dump(config::parse(dumped, "dump", {}));
  } catch (const Error& error) {
    found(std::string("a dump that cannot be read: ") + error.what());
  }
  expect(again == dumped, "a dump that reads back as another configuration:\n" + dumped + again);
}

}  // namespace
}  // namespace phase0::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase0;
  const fuzz::Limits limits;
  std::vector<std::string> overrides = fuzz::split_at_nul(fuzz::Input(data, size).rest_text());
  const std::string text = overrides.front();
  overrides.erase(overrides.begin());
  fuzz::ends_well({ErrorKind::kConfig}, [&] { fuzz::load_and_dump(text, overrides); });
  limits.check();
  if (text.size() > 64) return 0;
  config::parse_duration(text);
  if (const auto memory = config::try_parse_memory(text)) config::format_memory(*memory);
  return 0;
}
