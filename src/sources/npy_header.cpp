#include "sources/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

namespace phase0::sources {
namespace {

using store::ElementType;

constexpr std::string_view kMagic = "\x93NUMPY";
/// Longer ones describe records of many fields; numpy itself refuses them from 10,000 on.
constexpr std::int64_t kMaxDictionaryBytes = 10'000;
constexpr std::size_t kMaxRank = 32;

/// Reads the few kinds of Python literals that such a dictionary may hold.
class Literals {
 public:
  Literals(std::string_view text, const ErrorPlace& place) : text_(text), place_(place) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kData, "the header of the array is damaged: " + what, place_);
  }
  char peek() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing at character {}", c, at_));
  }
  /// Without escapes: no key and no type of ours has any.
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail(fmt::format("a string is missing at character {}", at_));
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a string has no end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    if (value.find('\\') != std::string_view::npos) fail("a string has escapes");
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    fail(fmt::format("True or False is missing at character {}", at_));
  }
  std::int64_t size() {
    peek();
    std::int64_t value = 0;
    const auto result = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (result.ec != std::errc() || value < 0) fail(fmt::format("no size at character {}", at_));
    at_ = static_cast<std::size_t>(result.ptr - text_.data());
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // of Python 2
    return value;
  }
  std::vector<std::int64_t> sizes() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      if (values.size() == kMaxRank) fail("the shape has too many dimensions");
      values.push_back(size());
      if (!accept(',') && peek() != ')') fail(fmt::format("',' is missing at character {}", at_));
    }
    return values;
  }
  void expect_end() {
    if (peek() != '\0' || at_ != text_.size()) fail(fmt::format("something stands behind it, at {}", at_));
  }

 private:
  std::string_view text_;
  const ErrorPlace& place_;
  std::size_t at_ = 0;
};

void set_type(std::string_view descr, const ErrorPlace& place, NpyHeader& header) {
  const std::string_view kind = descr.substr(std::min<std::size_t>(1, descr.size()));
  const bool known = descr.starts_with('<') || descr.starts_with('>');
  if (known && kind == "f2") {
    header.type = ElementType::kFloat16;
  } else if (known && kind == "f4") {
    header.type = ElementType::kFloat32;
  } else if (known && kind == "f8") {
    header.type = ElementType::kFloat64;
  } else {
    throw Error(
        ErrorKind::kData,
        fmt::format("the array holds values of type '{}'; float16, float32 or float64 was expected", descr),
        place);
  }
  header.big_endian = descr.starts_with('>');
}

std::int64_t little_endian(const unsigned char* bytes, int n) {
  std::int64_t value = 0;
  for (int i = n - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

NpyHeader parse_npy_dictionary(std::string_view text, const ErrorPlace& place) {
  Literals literals(text, place);
  NpyHeader header;
  std::set<std::string_view> keys;
  std::string_view descr;
  literals.expect('{');
  while (!literals.accept('}')) {
    const std::string_view key = literals.string();
    if (!keys.insert(key).second) literals.fail(fmt::format("key '{}' occurs twice", key));
    literals.expect(':');
    if (key == "descr") {
      if (literals.peek() == '[') {
        throw Error(ErrorKind::kData, "the array holds records; plain float values were expected", place);
      }
      descr = literals.string();
    } else if (key == "fortran_order") {
      header.fortran_order = literals.boolean();
    } else if (key == "shape") {
      header.shape = literals.sizes();
    } else {
      literals.fail(fmt::format("unknown key '{}'", key));
    }
    if (!literals.accept(',') && literals.peek() != '}') literals.fail("',' is missing between two keys");
  }
  literals.expect_end();
  if (keys.size() != 3) literals.fail("descr, fortran_order and shape must be there");
  set_type(descr, place, header);
  return header;
}

NpyHeader read_npy_header(const NextBytes& next, const ErrorPlace& place) {
  unsigned char start[8];
  next(sizeof start, start);
  if (std::memcmp(start, kMagic.data(), kMagic.size()) != 0) {
    throw Error(ErrorKind::kData, "is not a .npy file: it does not begin with \\x93NUMPY", place);
  }
  const int major = start[6];
  if (major < 1 || major > 3 || start[7] != 0) {
    throw Error(ErrorKind::kData, fmt::format("version {}.{} of .npy is not known", major, start[7]), place);
  }
  const int length_bytes = major == 1 ? 2 : 4;
  unsigned char length[4];
  next(length_bytes, length);
  const std::int64_t size = little_endian(length, length_bytes);
  if (size > kMaxDictionaryBytes) {
    throw Error(ErrorKind::kData, fmt::format("the header of the array is damaged: {} bytes long", size),
                place);
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  next(size, text.data());
  NpyHeader header = parse_npy_dictionary(text, place);
  header.bytes = static_cast<std::int64_t>(sizeof start) + length_bytes + size;
  return header;
}

std::string npy_header(ElementType type, const std::vector<std::int64_t>& shape) {
  constexpr std::size_t kStartBytes = 10;
  constexpr std::size_t kAlignment = 64;
  std::string sizes;
  for (const std::int64_t size : shape) sizes += fmt::format("{}, ", size);
  if (shape.size() > 1) sizes.resize(sizes.size() - 2);
  if (shape.size() == 1) sizes.resize(sizes.size() - 1);
  std::string text = fmt::format("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({}), }}",
                                 store::element_size(type), sizes);
  // numpy leaves room for a longer first size, so that rows can be appended in place.
  constexpr std::size_t kGrowth = 21;
  const std::size_t first_digits = shape.empty() ? kGrowth : std::to_string(shape.front()).size();
  text.append(kGrowth - first_digits, ' ');
  const std::size_t used = kStartBytes + text.size() + 1;
  text.append(kAlignment - used % kAlignment, ' ');
  text += '\n';
  std::string header(kMagic);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xffU);
  header += static_cast<char>(text.size() >> 8U);
  return header + text;
}

}  // namespace phase0::sources
