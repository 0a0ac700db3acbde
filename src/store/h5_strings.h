#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/h5_handles.h"
#include "store/h5_heap.h"
#include "store/h5_source.h"

namespace phase0::store {

/// Longest fixed-length string type that is read, in bytes.
inline constexpr std::size_t kMaxFixedString = std::size_t{64} << 10;

/// One string of a fixed-length type, without its padding.
std::string_view unpad(std::string_view stored, H5T_str_t padding);
/// What is wrong with the string of that number; empty when it is one that phase0 takes.
std::string text_problem(std::string_view text, std::size_t number);

/// Appends `n` strings of the stored type `type`. `read(memory_type, buffer)` calls H5Aread or H5Dread and
/// returns its result. `room` is the text, in bytes, that may be read, less what is: many references to one
/// long text take a file little. Throws an Error that names `object` when HDF5 fails, the room is used up, or
/// a string is not one that phase0 takes.
template <typename Read>
void read_strings(const H5Source& source, const std::string& object, hid_t type, std::size_t n, Read read,
                  std::int64_t& room, std::vector<std::string>& out) {
  const bool variable = H5Tis_variable_str(type) > 0;
  const std::size_t width = variable ? source.reference_bytes() : H5Tget_size(type);
  if (width == 0 || width > kMaxFixedString) source.fail(object, "its strings are too long");
  std::vector<std::byte> stored(n * width);
  const H5Type opaque(variable ? H5Tcreate(H5T_OPAQUE, width) : -1);
  if (n > 0 && read(variable ? opaque.get() : type, stored.data()) < 0) {
    source.fail(object, "its strings cannot be read" + h5_reason());
  }
  const std::size_t first = out.size();
  if (variable) {
    read_heap_strings(source, object, stored, room, out);
  } else {
    const H5T_str_t padding = H5Tget_strpad(type);
    for (std::size_t i = 0; i < n; ++i) {
      out.emplace_back(unpad({reinterpret_cast<const char*>(stored.data()) + i * width, width}, padding));
      room -= static_cast<std::int64_t>(out.back().size());
      if (room < 0) source.fail(object, "its strings take far more memory than the file has bytes");
    }
  }
  for (std::size_t i = first; i < out.size(); ++i) {
    const std::string problem = text_problem(out[i], i);
    if (!problem.empty()) source.fail(object, problem);
  }
}

}  // namespace phase0::store
