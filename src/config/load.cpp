#include "config/load.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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

/// A file, or a pipe that has a writer: one that has none is empty, not waited for.
struct TextFile {
  explicit TextFile(const std::string& path) {
    do {
      descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor >= 0) ::fcntl(descriptor, F_SETFL, 0);  // reads do wait
  }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile() {
    if (descriptor >= 0) ::close(descriptor);
  }
  int descriptor = -1;
};

/// Reads no more than the limit that `parse_document` sets, so that a device or a huge file is refused
/// quickly.
std::string read_file(const std::string& path) {
  constexpr std::size_t kMaxRead = (std::size_t{1} << 20) + 1;
  const auto fail = [&path](int error_number) {
    const char* reason = std::strerror(error_number);
    if (is_fault_of_the_machine(error_number)) {
      throw Error(ErrorKind::kStorage, fmt::format("cannot read the configuration: {}", reason), {path});
    }
    fail_at({std::make_shared<const std::string>(path), -1}, "",
            fmt::format("cannot read the configuration: {}", reason));
  };
  const TextFile file(path);
  if (file.descriptor < 0) fail(errno);
  std::string text(kMaxRead, '\0');
  std::size_t size = 0;
  while (size < kMaxRead) {
    const ssize_t n = ::read(file.descriptor, text.data() + size, kMaxRead - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  text.resize(size);
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
