#include "store/h5_message_types.h"

#include <string>

namespace phase0::store {
namespace {

constexpr int kMostNested = 8;
constexpr unsigned kMostDims = 32;

/// The classes of the format.
enum : unsigned {
  kInteger,
  kFloat,
  kTime,
  kString,
  kBits,
  kOpaque,
  kCompound,
  kReference,
  kEnum,
  kVariable,
  kArray
};

struct Head {
  unsigned version = 0;
  unsigned kind = 0;
  unsigned bits = 0;
  std::uint64_t size = 0;
};

void check_bits(H5Fields& fields, std::uint64_t size) {
  const std::uint64_t offset = fields.number(2);
  const std::uint64_t precision = fields.number(2);
  fields.expect(precision > 0 && offset + precision <= 8 * size, "a number of impossible bits");
}

void check_float(H5Fields& fields, const Head& head) {
  check_bits(fields, head.size);
  const auto inside = [&](unsigned place, unsigned n) { return place + n <= 8 * head.size; };
  const unsigned exponent = fields.byte();
  const unsigned exponent_bits = fields.byte();
  const unsigned mantissa = fields.byte();
  const unsigned mantissa_bits = fields.byte();
  fields.skip(4);  // bias
  fields.expect(exponent_bits > 0 && mantissa_bits > 0 && inside(exponent, exponent_bits) &&
                    inside(mantissa, mantissa_bits) && inside(head.bits >> 8U & 0xffU, 1),
                "a float of impossible bits");
}

/// A name, in old versions filled up to a multiple of 8 bytes.
void skip_name(H5Fields& fields, unsigned version) {
  const std::size_t n = fields.skip_text();
  if (version < 3) fields.skip((8 - n % 8) % 8);
}

std::size_t offset_bytes(const Head& head) {
  if (head.version < 3) return 4;
  std::size_t n = 1;
  while (n < 4 && head.size >> (8 * n) != 0) ++n;
  return n;
}

void check_compound(H5Fields& fields, const Head& head, std::size_t address_bytes, int depth) {
  const unsigned n_members = head.bits & 0xffffU;
  fields.expect(n_members > 0, "a compound of nothing");
  for (unsigned i = 0; i < n_members; ++i) {
    skip_name(fields, head.version);
    const std::uint64_t offset = fields.number(offset_bytes(head));
    if (head.version == 1) {
      // Arrays inside of compounds were told here once.
      fields.expect(fields.byte() == 0, "a compound of a form that is not known");
      fields.skip(27);
    }
    const std::uint64_t size = check_datatype(fields, address_bytes, depth + 1);
    fields.expect(offset <= head.size && size <= head.size - offset, "a member outside its compound");
  }
}

void check_enum(H5Fields& fields, const Head& head, std::size_t address_bytes, int depth) {
  const std::uint64_t size = check_datatype(fields, address_bytes, depth + 1);
  fields.expect(size == head.size, "an enumeration of impossible size");
  const unsigned n_members = head.bits & 0xffffU;
  for (unsigned i = 0; i < n_members; ++i) skip_name(fields, head.version);
  fields.skip(n_members * size);
}

void check_array(H5Fields& fields, const Head& head, std::size_t address_bytes, int depth) {
  fields.expect(head.version >= 2, "an array of a form that is not known");
  const unsigned n_dims = fields.byte();
  fields.expect(n_dims > 0 && n_dims <= kMostDims, "an array of impossible rank");
  if (head.version == 2) fields.skip(3);
  std::uint64_t n = 1;
  for (unsigned i = 0; i < n_dims; ++i) {
    n *= fields.number(4);
    fields.expect(n > 0 && n <= head.size, "an array of impossible size");
  }
  if (head.version == 2) fields.skip(4 * n_dims);
  const std::uint64_t size = check_datatype(fields, address_bytes, depth + 1);
  fields.expect(head.size % n == 0 && head.size / n == size, "an array of impossible size");
}

void check_class(H5Fields& fields, const Head& head, std::size_t address_bytes, int depth) {
  switch (head.kind) {
    case kInteger:
    case kBits:
      return check_bits(fields, head.size);
    case kFloat:
      return check_float(fields, head);
    case kTime:
      return fields.skip(2);
    case kString:
      return;
    case kReference:
      // To an object, or to a region of one. HDF5 reads as many bytes, whatever the size says.
      return fields.expect(head.size == address_bytes + ((head.bits & 0xfU) == 1 ? 4 : 0),
                           "references of impossible size");
    case kOpaque:
      return fields.skip(head.bits & 0xffU);
    case kCompound:
      return check_compound(fields, head, address_bytes, depth);
    case kEnum:
      return check_enum(fields, head, address_bytes, depth);
    case kVariable:
      fields.expect(head.size == 8 + address_bytes, "references of impossible size");
      check_datatype(fields, address_bytes, depth + 1);
      return;
    case kArray:
      return check_array(fields, head, address_bytes, depth);
    default:
      fields.fail("a type that is not known");
  }
}

}  // namespace

std::uint64_t check_datatype(H5Fields& fields, std::size_t address_bytes, int depth) {
  if (depth > kMostNested)
    fields.refuse("types in more than " + std::to_string(kMostNested) + " others are not supported");
  Head head;
  const unsigned first = fields.byte();
  head.version = first >> 4U;
  head.kind = first & 0xfU;
  head.bits = static_cast<unsigned>(fields.number(3));
  head.size = fields.number(4);
  if (head.version == 4 || head.version == 5) fields.unsupported("a type of a newer HDF5");
  fields.expect(head.version >= 1 && head.version <= 3 && head.size > 0, "a type that is not known");
  check_class(fields, head, address_bytes, depth);
  return head.size;
}

std::uint64_t check_dataspace(H5Fields& fields, std::size_t length_bytes) {
  const unsigned version = fields.byte();
  fields.expect(version == 1 || version == 2, "a dataspace that is not known");
  const unsigned n_dims = fields.byte();
  const unsigned flags = fields.byte();
  fields.expect(n_dims <= kMostDims, "a dataspace of impossible rank");
  const unsigned type = fields.byte();  // reserved in version 1
  if (version == 1) fields.skip(4);
  std::uint64_t n = version == 2 && type == 2 ? 0 : 1;  // 2: no values at all
  for (unsigned i = 0; i < n_dims; ++i) {
    const bool fits = !__builtin_mul_overflow(n, fields.number(length_bytes), &n);
    fields.expect(fits, "a dataspace of impossible size");
  }
  if ((flags & 1U) != 0) fields.skip(n_dims * length_bytes);
  return n;
}

}  // namespace phase0::store
