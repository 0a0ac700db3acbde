#include "run/json_file.h"

#include "store/atomic_file.h"

namespace phase0::run {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kMaxJsonDepth = 32;

struct TooDeep {};

}  // namespace

std::optional<Json> read_json(const std::string& path, std::int64_t max_bytes) {
  const std::string text = store::read_file(path, max_bytes);
  const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxJsonDepth) throw TooDeep{};
    return true;
  };
  try {
    return Json::parse(text, limit_depth);
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const TooDeep&) {
    return std::nullopt;
  }
}

std::int64_t whole_number(const Json& value) {
  if (!value.is_number_integer()) throw Json::type_error::create(302, "not a whole number", &value);
  return value.get<std::int64_t>();
}

}  // namespace phase0::run
