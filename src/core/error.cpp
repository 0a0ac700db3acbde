#include "phase0/error.h"

#include <fmt/format.h>

#include "core/check.h"
#include "core/text.h"

namespace phase0 {
namespace {

constexpr std::size_t kLongestMessage = 4096;  // bytes, whatever it quotes

std::string describe(const std::string& message, const ErrorPlace& place) {
  std::string out;
  if (!place.path.empty()) {
    out += place.path;
    if (place.line >= 0) out += fmt::format(":{}", place.line);
    out += ": ";
  }
  std::string where;
  const auto add = [&where](const std::string& part) {
    if (!where.empty()) where += ", ";
    where += part;
  };
  if (!place.dataset.empty()) add(core::clipped(place.dataset));
  if (!place.utterance.empty()) add("utterance " + core::clipped(place.utterance));
  if (place.frame >= 0) add(fmt::format("frame {}", place.frame));
  if (place.offset >= 0) add(fmt::format("offset {}", place.offset));
  if (!where.empty()) out += where + ": ";
  return out + core::clipped(message, kLongestMessage);
}

}  // namespace

Error::Error(ErrorKind kind, const std::string& message, ErrorPlace place)
    : std::runtime_error(describe(message, place)),
      kind_(kind),
      place_(std::move(place)),
      message_(message) {}

namespace core {

void check_failed(const char* expression, const char* file, int line) {
  throw Error(ErrorKind::kInternal, fmt::format("internal check failed: {} ({}:{})", expression, file, line));
}

}  // namespace core
}  // namespace phase0
