#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace phase0::core {

/// Numbers without padding, which are written as they lie in memory.
template <class T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// Takes a state apart into bytes, in the order in which a ByteSource gives it back.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(const void* data, std::int64_t size) = 0;

  template <Plain T>
  void put(const T& value) {
    write(&value, sizeof value);
  }
  /// The count, then the values.
  template <Plain T>
  void put_all(std::span<const T> values) {
    put(std::ssize(values));
    write(values.data(), static_cast<std::int64_t>(values.size_bytes()));
  }
  template <Plain T>
  void put_all(const std::vector<T>& values) {
    put_all(std::span<const T>(values));
  }
  void put_text(std::string_view text) { put_all(std::span<const char>(text)); }
};

/// Gives back what a ByteSink took. What does not fit (too few bytes, another count) throws Error (kStorage).
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Bytes that are left.
  virtual std::int64_t remaining() const = 0;
  void read(void* out, std::int64_t size);

  template <Plain T>
  T get() {
    if constexpr (std::is_same_v<T, bool>) {
      return get_flag();
    } else {
      T value{};
      read(&value, sizeof value);
      return value;
    }
  }
  /// A count of things of which each takes at least `least_bytes`: never more than what is left can hold.
  std::int64_t get_count(std::int64_t least_bytes);
  template <Plain T>
  std::vector<T> get_all() {
    std::vector<T> values(static_cast<std::size_t>(get_count(sizeof(T))));
    read(values.data(), std::ssize(values) * static_cast<std::int64_t>(sizeof(T)));
    return values;
  }
  /// Into room of exactly as many values.
  template <Plain T>
  void get_into(std::span<T> values) {
    expect_count(get_count(sizeof(T)), std::ssize(values));
    read(values.data(), static_cast<std::int64_t>(values.size_bytes()));
  }
  std::string get_text();

 private:
  virtual void take(void* out, std::int64_t size) = 0;
  bool get_flag();
  static void expect_count(std::int64_t count, std::int64_t expected);
};

}  // namespace phase0::core
