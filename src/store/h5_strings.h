#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "store/h5_handles.h"

namespace phase0::store {

/// Longest fixed-length string type that is read, in bytes.
inline constexpr std::size_t kMaxFixedString = std::size_t{64} << 10;

/// Reads `n` strings into memory that HDF5 fills: `read(buffer)` calls H5Aread or H5Dread with `type` as the
/// memory type and returns its result; `memory_space` describes the n elements. Returns false when HDF5
/// fails, or when a string holds a NUL inside or is not valid UTF-8 (then `problem` says which).
template <typename Read>
bool read_strings(hid_t type, hid_t memory_space, std::size_t n, Read read, std::vector<std::string>& out,
                  std::string& problem);

/// One string of a fixed-length type, without its padding.
std::string_view unpad(std::string_view stored, H5T_str_t padding);
/// Appends a string; false (and `problem`) when it is not one that phase0 takes.
bool append_checked(std::string_view text, std::vector<std::string>& out, std::string& problem);

template <typename Read>
bool read_strings(hid_t type, hid_t memory_space, std::size_t n, Read read, std::vector<std::string>& out,
                  std::string& problem) {
  bool good = true;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(n, nullptr);
    good = read(static_cast<void*>(pointers.data())) >= 0;
    for (std::size_t i = 0; good && i < n; ++i) {
      good = append_checked(pointers[i] == nullptr ? "" : pointers[i], out, problem);
    }
    H5Dvlen_reclaim(type, memory_space, H5P_DEFAULT, pointers.data());
    return good;
  }
  const std::size_t width = H5Tget_size(type);
  if (width == 0 || width > kMaxFixedString) {
    problem = "its strings are too long";
    return false;
  }
  std::vector<char> buffer(n * width);
  good = read(static_cast<void*>(buffer.data())) >= 0;
  for (std::size_t i = 0; good && i < n; ++i) {
    good = append_checked(unpad({buffer.data() + i * width, width}, H5Tget_strpad(type)), out, problem);
  }
  return good;
}

}  // namespace phase0::store
