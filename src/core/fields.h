#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/byte_stream.h"

/// One list of a type's fields for both directions. Beside the type stands
///
///   template <class Visit, core::Like<Type> T>
///   void each_field(Visit& visit, T& value) { visit(value.this_one, value.that_one); }
///
/// and write_fields() and read_fields() go by it. Fields are plain values, texts, vectors and optionals of
/// those or of types with a list of their own.
namespace phase0::core {

template <class T, class Type>
concept Like = std::is_same_v<std::remove_const_t<T>, Type>;

class FieldWriter {
 public:
  explicit FieldWriter(ByteSink& sink) : sink_(sink) {}
  template <class... T>
  void operator()(const T&... fields) {
    (write(fields), ...);
  }

 private:
  void write(const std::string& text) { sink_.put_text(text); }
  template <Plain T>
  void write(const T& value) {
    sink_.put(value);
  }
  template <Plain T>
  void write(const std::vector<T>& values) {
    sink_.put_all(values);
  }
  template <class T>
  void write(const std::vector<T>& values) {
    sink_.put(std::ssize(values));
    for (const T& value : values) write(value);
  }
  template <class T>
  void write(const std::optional<T>& value) {
    sink_.put(value.has_value());
    if (value) write(*value);
  }
  template <class T>
  void write(const T& value) {
    each_field(*this, value);
  }

  ByteSink& sink_;
};

/// Throws Error (kStorage) for what does not fit; a count is never more than what is left can hold.
class FieldReader {
 public:
  explicit FieldReader(ByteSource& source) : source_(source) {}
  template <class... T>
  void operator()(T&... fields) {
    (read(fields), ...);
  }

 private:
  /// Of whatever is not plain: a number, a count or the count of a text at least.
  static constexpr std::int64_t kLeastBytes = 8;

  void read(std::string& text) { text = source_.get_text(); }
  template <Plain T>
  void read(T& value) {
    value = source_.get<T>();
  }
  template <Plain T>
  void read(std::vector<T>& values) {
    values = source_.get_all<T>();
  }
  template <class T>
  void read(std::vector<T>& values) {
    values.clear();
    for (auto n = source_.get_count(kLeastBytes); n > 0; --n) read(values.emplace_back());
  }
  template <class T>
  void read(std::optional<T>& value) {
    value.reset();
    if (source_.get<bool>()) read(value.emplace());
  }
  template <class T>
  void read(T& value) {
    each_field(*this, value);
  }

  ByteSource& source_;
};

template <class T>
void write_fields(ByteSink& sink, const T& value) {
  FieldWriter write(sink);
  write(value);
}
template <class T>
T read_fields(ByteSource& source) {
  T value;
  FieldReader read(source);
  read(value);
  return value;
}

}  // namespace phase0::core
