#include "sources/text_lines.h"

#include <algorithm>

#include "sources/input_file.h"

namespace phase0::sources {
namespace {

constexpr std::int64_t kMaxLineBytes = std::int64_t{64} << 10;
constexpr std::string_view kBlanks = " \t";

}  // namespace

void for_lines(const std::string& path,
               const std::function<void(std::string_view line, std::int64_t number)>& take) {
  const InputFile file(path);
  std::string held;  // read and not yet taken: less than a line
  std::int64_t number = 0;
  const auto give = [&](std::string_view line) {
    ++number;
    if (std::ssize(line) > kMaxLineBytes) fail_line(path, number, "the line is too long for a text file");
    if (line.find('\0') != std::string_view::npos) fail_line(path, number, "is not text: it holds a NUL");
    if (line.ends_with('\r')) line.remove_suffix(1);
    take(line, number);
  };
  for (std::int64_t offset = 0; offset < file.size();) {
    const std::int64_t n = std::min(kMaxLineBytes, file.size() - offset);
    const std::size_t before = held.size();
    held.resize(before + static_cast<std::size_t>(n));
    file.read(offset, n, held.data() + before);
    offset += n;
    std::string_view rest = held;
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      give(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    if (std::ssize(rest) > kMaxLineBytes) give(rest);  // which refuses it
    held.erase(0, held.size() - rest.size());
  }
  if (!held.empty()) give(held);
}

void fail_line(const std::string& path, std::int64_t number, const std::string& message) {
  throw Error(ErrorKind::kData, message, {.path = path, .line = number});
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text = trimmed(text.substr(word.size()));
  return word;
}

}  // namespace phase0::sources
