#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "phase0/error.h"

namespace phase0::store {

/// Takes bytes of an HDF5 file apart from their front, little-endian, never behind their end: what would lie
/// there is an Error that names the file and the object. The bytes and the names must outlive it.
class H5Fields {
 public:
  /// What is taken apart, for messages.
  struct Subject {
    std::string_view path;
    std::string_view object;
    ErrorKind damage = ErrorKind::kData;
  };

  H5Fields(std::span<const std::byte> bytes, const Subject& subject) : bytes_(bytes), subject_(subject) {}

  std::size_t left() const { return bytes_.size(); }
  std::uint64_t number(std::size_t n) {
    const std::span<const std::byte> field = take_bytes(n);
    std::uint64_t value = 0;
    for (std::size_t i = n; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(field[i]);
    return value;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  void skip(std::uint64_t n) { take_bytes(n); }
  /// The next `n` bytes, to be taken apart on their own.
  H5Fields take(std::uint64_t n) { return {take_bytes(n), subject_}; }
  /// A text and the zero that ends it; its length with the zero.
  std::size_t skip_text() {
    const auto zero = std::find(bytes_.begin(), bytes_.end(), std::byte{0});
    expect(zero != bytes_.end(), "a text without an end");
    const auto n = static_cast<std::size_t>(zero - bytes_.begin()) + 1;
    skip(n);
    return n;
  }
  bool starts_with(const char* signature, std::size_t n) const {
    return bytes_.size() >= n && std::memcmp(bytes_.data(), signature, n) == 0;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(subject_.damage, "its header is damaged: " + problem,
                ErrorPlace{.path = std::string(subject_.path), .dataset = std::string(subject_.object)});
  }
  /// For what may be sound, but is not read here.
  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(subject_.damage, message,
                ErrorPlace{.path = std::string(subject_.path), .dataset = std::string(subject_.object)});
  }
  [[noreturn]] void unsupported(const std::string& feature) const {
    refuse(feature + " is not supported; a copy made by h5repack has none");
  }
  void expect(bool holds, const char* problem) const {
    if (!holds) fail(problem);
  }

 private:
  std::span<const std::byte> take_bytes(std::uint64_t n) {
    expect(n <= bytes_.size(), "it ends too early");
    const auto taken = bytes_.first(static_cast<std::size_t>(n));
    bytes_ = bytes_.subspan(static_cast<std::size_t>(n));
    return taken;
  }

  std::span<const std::byte> bytes_;
  Subject subject_;
};

}  // namespace phase0::store
