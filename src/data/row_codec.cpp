#include "data/row_codec.h"

#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/checked.h"
#include "data/latents_values.h"
#include "linalg/kernels.h"

namespace phase0::data {
namespace {

using store::ElementType;

/// `width` values of each group, once for every one of its columns: kernels then need no groups.
core::AlignedBuffer<float> by_column(const std::vector<float>& of_groups, std::int64_t group,
                                     std::int64_t width, std::int64_t dim) {
  core::AlignedBuffer<float> out(dim * width);
  for (std::int64_t column = 0; column < dim; ++column) {
    std::copy_n(of_groups.data() + column / group * width, width, out.data() + column * width);
  }
  return out;
}

}  // namespace

struct RowCodec::Tables {
  Quantization quantization;
  core::AlignedBuffer<float> scale, offset;  ///< [dim]
  core::AlignedBuffer<float> palettes;       ///< [dim, 16]
};

RowCodec::RowCodec(ElementType type, std::int64_t dim) : type_(type), dim_(dim) {
  PHASE0_CHECK(type == ElementType::kFloat16 || type == ElementType::kFloat32 ||
               type == ElementType::kFloat64);
}

RowCodec::RowCodec(Quantization quantization, std::int64_t dim) : dim_(dim) {
  PHASE0_CHECK(dim >= 1 && quantization.group >= 1);
  auto tables = std::make_shared<Tables>();
  const std::int64_t groups = core::ceil_div(dim, quantization.group);
  const std::int64_t group = quantization.group;
  if (quantization.kind == Quantization::Kind::kInt8) {
    type_ = ElementType::kInt8;
    PHASE0_CHECK(std::ssize(quantization.scale) == groups && std::ssize(quantization.offset) == groups);
    tables->scale = by_column(quantization.scale, group, 1, dim);
    tables->offset = by_column(quantization.offset, group, 1, dim);
  } else {
    type_ = ElementType::kUInt8;
    PHASE0_CHECK(std::ssize(quantization.palette) == groups * kPaletteEntries);
    tables->palettes = by_column(quantization.palette, group, kPaletteEntries, dim);
  }
  tables->quantization = std::move(quantization);
  tables_ = std::move(tables);
}

const Quantization* RowCodec::quantization() const {
  return tables_ == nullptr ? nullptr : &tables_->quantization;
}

ElementType RowCodec::stored_type() const {
  return type_;
}

std::int64_t RowCodec::stored_columns() const {
  return type_ == ElementType::kUInt8 ? core::ceil_div(dim_, 2) : dim_;
}

const char* RowCodec::name() const {
  return type_ == ElementType::kUInt8 ? "int4" : store::to_string(type_);
}

std::int64_t RowCodec::table_bytes() const {
  if (!quantised()) return 0;
  const std::int64_t of_columns = dim_ * (type_ == ElementType::kUInt8 ? kPaletteEntries : 2);
  const Quantization& groups = tables_->quantization;
  return 4 * (of_columns + std::ssize(groups.scale) + std::ssize(groups.offset) + std::ssize(groups.palette));
}

void RowCodec::decode(const std::byte* stored, std::int64_t column, std::int64_t n, float* out) const {
  switch (type_) {
    case ElementType::kInt8:
      return linalg::kernels().int8_to_float(reinterpret_cast<const std::int8_t*>(stored),
                                             tables_->scale.data() + column, tables_->offset.data() + column,
                                             out, n);
    case ElementType::kUInt8:
      PHASE0_CHECK(column % 2 == 0);
      return linalg::kernels().int4_to_float(reinterpret_cast<const std::uint8_t*>(stored),
                                             tables_->palettes.data() + column * kPaletteEntries, out, n);
    case ElementType::kFloat16:
      return linalg::kernels().half_to_float(reinterpret_cast<const std::uint16_t*>(stored), out, n);
    default:
      return to_float32(type_, stored, n, out);
  }
}

void RowCodec::decode_rows(const std::byte* stored, std::int64_t n_rows, float* out) const {
  if (!quantised()) return decode(stored, 0, n_rows * dim_, out);
  for (std::int64_t row = 0; row < n_rows; ++row) {
    decode(stored + row * row_bytes(), 0, dim_, out + row * dim_);
  }
}

}  // namespace phase0::data
