#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "phase0/error.h"
#include "store/element_type.h"

namespace phase0::sources {

/// Of the names of such files, and of the members of a .npz.
inline constexpr std::string_view kNpySuffix = ".npy";

/// What stands before the values of a .npy file (format of numpy.lib.format, versions 1 to 3).
struct NpyHeader {
  store::ElementType type = store::ElementType::kFloat32;  ///< float16, float32 or float64
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::int64_t bytes = 0;  ///< from the start of the file to the first value
};

/// Takes the next n bytes of a file that is read from its start.
using NextBytes = std::function<void(std::int64_t n, void* out)>;

/// Reads a header through `next`. Throws Error (kData) at `place` for one that is damaged, longer than any
/// array of numbers needs, or of another kind of value.
NpyHeader read_npy_header(const NextBytes& next, const ErrorPlace& place);

/// The dictionary of a header, `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`; `bytes` stays
/// 0.
NpyHeader parse_npy_dictionary(std::string_view text, const ErrorPlace& place);

/// The header of a float array in C order, as numpy writes it: version 1, a multiple of 64 bytes.
std::string npy_header(store::ElementType type, const std::vector<std::int64_t>& shape);

}  // namespace phase0::sources
