#include "store/h5_types.h"

#include <array>

namespace phase0::store {
namespace {

/// IEEE half precision as h5py writes it: HDF5 1.10 has no name for it.
H5Type half_type() {
  H5Type type(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), 15);
  return type;
}

bool equal(hid_t a, hid_t b) {
  return H5Tequal(a, b) > 0;
}

}  // namespace

H5Type h5_type(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return half_type();
    case ElementType::kFloat32:
      return H5Type(H5Tcopy(H5T_IEEE_F32LE));
    case ElementType::kFloat64:
      return H5Type(H5Tcopy(H5T_IEEE_F64LE));
    case ElementType::kUInt8:
      return H5Type(H5Tcopy(H5T_STD_U8LE));
    case ElementType::kInt8:
      return H5Type(H5Tcopy(H5T_STD_I8LE));
    case ElementType::kInt32:
      return H5Type(H5Tcopy(H5T_STD_I32LE));
    case ElementType::kInt64:
      return H5Type(H5Tcopy(H5T_STD_I64LE));
  }
  return H5Type();
}

std::optional<ElementType> element_type_of(hid_t type) {
  constexpr std::array kTypes = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kFloat64,
                                 ElementType::kUInt8,   ElementType::kInt8,    ElementType::kInt32,
                                 ElementType::kInt64};
  for (const ElementType candidate : kTypes) {
    if (equal(type, h5_type(candidate).get())) return candidate;
  }
  return std::nullopt;
}

bool is_plain_integer(hid_t type) {
  const std::array candidates = {H5T_STD_I64LE, H5T_STD_I32LE, H5T_STD_U8LE,  H5T_STD_I8LE,
                                 H5T_STD_I16LE, H5T_STD_U16LE, H5T_STD_U32LE, H5T_STD_U64LE,
                                 H5T_STD_I64BE, H5T_STD_I32BE, H5T_STD_U8BE,  H5T_STD_I8BE,
                                 H5T_STD_I16BE, H5T_STD_U16BE, H5T_STD_U32BE, H5T_STD_U64BE};
  for (const hid_t candidate : candidates) {
    if (equal(type, candidate)) return true;
  }
  return false;
}

bool is_plain_float(hid_t type) {
  const std::array candidates = {H5T_IEEE_F64LE, H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_IEEE_F32BE};
  for (const hid_t candidate : candidates) {
    if (equal(type, candidate)) return true;
  }
  return equal(type, half_type().get());
}

}  // namespace phase0::store
