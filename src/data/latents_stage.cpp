#include <algorithm>

#include "core/aligned_buffer.h"
#include "core/checked.h"
#include "data/latents.h"
#include "data/latents_values.h"

namespace phase0::data {
namespace {

constexpr std::int64_t kStageBytes = std::int64_t{8} << 20;

/// Rows staged at a time.
std::int64_t stage_rows(const Latents& latents) {
  return std::clamp<std::int64_t>(kStageBytes / latents.codec().row_bytes(), 1, latents.n_frames());
}

}  // namespace

RowCodec staged_codec(const Latents& latents) {
  const RowCodec& codec = latents.codec();
  return codec.stored_type() == store::ElementType::kFloat64
             ? RowCodec(store::ElementType::kFloat32, codec.dim())
             : codec;
}

std::int64_t staging_bytes(const Latents& latents) {
  const std::int64_t rows = stage_rows(latents);
  const bool convert = latents.codec().stored_type() == store::ElementType::kFloat64;
  const std::int64_t mapped = core::checked_mul(rows, staged_codec(latents).row_bytes());
  return mapped + (convert ? rows * latents.codec().row_bytes() : 0) + latents.read_bytes();
}

void stage_frames(const Latents& latents, std::int64_t begin, store::MappedDataset& out,
                  core::Execution& execution,
                  const std::function<void(std::int64_t first, std::int64_t n)>& finish) {
  const store::ElementType type = latents.codec().stored_type();
  const bool convert = type == store::ElementType::kFloat64;
  const RowCodec staged = staged_codec(latents);
  PHASE0_CHECK(out.type() == staged.stored_type() && out.columns() == staged.stored_columns());
  PHASE0_CHECK(out.rows() == latents.n_frames());
  const std::int64_t row_bytes = latents.codec().row_bytes();
  const std::int64_t block_rows = stage_rows(latents);
  const core::Reservation memory(execution.memory, staging_bytes(latents), "staging frames");
  core::AlignedBuffer<std::byte> buffer(convert ? block_rows * row_bytes : 0);

  const core::TaskScope task(execution.observer, "staging frames", latents.n_frames() - begin);
  for (std::int64_t first = begin; first < latents.n_frames(); first += block_rows) {
    execution.check_stop();
    const std::int64_t rows = std::min(block_rows, latents.n_frames() - first);
    std::byte* to = out.mutable_row(first);
    latents.read_frames(first, rows, convert ? buffer.data() : to);
    if (convert) to_float32(type, buffer.data(), rows * latents.dim(), reinterpret_cast<float*>(to));
    finish(first, rows);
    execution.observer.task_advance(rows, rows * row_bytes);
  }
}

}  // namespace phase0::data
