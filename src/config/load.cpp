#include "config/load.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "config/check_options.h"
#include "config/number.h"
#include "config/overrides.h"
#include "config/schema.h"

namespace phase0::config {
namespace {

/// Not of a wrong name or of permissions, which are matters of usage.
bool is_fault_of_the_machine(int error_number) {
  return error_number == EIO || error_number == EMFILE || error_number == ENFILE || error_number == ESTALE;
}

/// Reads no more than the limit that `parse_document` sets, so that a device or a huge file is refused
/// quickly.
std::string read_file(const std::string& path) {
  constexpr std::streamsize kMaxRead = (std::streamsize{1} << 20) + 1;
  const auto fail = [&path](int error_number) {
    const char* reason = error_number == 0 ? "not a readable file" : std::strerror(error_number);
    if (is_fault_of_the_machine(error_number)) {
      throw Error(ErrorKind::kStorage, fmt::format("cannot read the configuration: {}", reason), {path});
    }
    fail_at({std::make_shared<const std::string>(path), -1}, "",
            fmt::format("cannot read the configuration: {}", reason));
  };
  std::ifstream file;
  do {
    errno = 0;
    file.open(path, std::ios::binary);
  } while (!file && errno == EINTR);
  if (!file) fail(errno);
  std::string text(static_cast<std::size_t>(kMaxRead), '\0');
  file.read(text.data(), kMaxRead);
  if (file.bad()) fail(errno);
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

/// Where a key is written, or the nearest thing around it that is.
Place find_place(const Value& root, const std::string& path) {
  const Value* at = &root;
  Place place{root.place.source, -1};
  for (std::size_t begin = 0; at != nullptr && begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string segment = path.substr(begin, end - begin);
    if (at->kind == Value::Kind::kList) {
      const auto index = parse_integer<std::size_t>(segment);
      at = index && *index < at->items.size() ? &at->items[*index] : nullptr;
    } else {
      at = at->find(segment);
    }
    if (at != nullptr) place = at->place;
    begin = end + 1;
  }
  return place;
}

}  // namespace

Options parse(const std::string& text, const std::string& name, const std::vector<std::string>& overrides) {
  Value root = parse_document(text, name);
  for (const std::string& override_text : overrides) apply_override(root, override_text);
  Options options = default_options();
  read_fields(options_table(), root, "", "", options);
  if (const auto problem = find_problem(options)) {
    fail_at(find_place(root, problem->path), problem->path, problem->message);
  }
  return options;
}

Options load(const std::string& path, const std::vector<std::string>& overrides) {
  return parse(read_file(path), path, overrides);
}

}  // namespace phase0::config
