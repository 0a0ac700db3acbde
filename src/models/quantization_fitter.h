#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/execution.h"
#include "data/row_codec.h"

namespace phase0::models {

/// Finds the tables for quantising rows of float32 from one pass over them. int8: 255 even steps from the
/// least to the greatest value of a group. int4: the k-means of its values (models/scalar_kmeans.h) in evenly
/// spread rows, 16,384 of them at most. The tables depend on the rows alone.
class QuantizationFitter {
 public:
  /// For `n_rows` rows of `dim` values, seen by `workers` workers.
  QuantizationFitter(data::Quantization::Kind kind, std::int64_t n_rows, std::int64_t dim, std::int64_t group,
                     int workers);
  /// Memory that it holds besides, and for each worker.
  static std::int64_t fixed_bytes(data::Quantization::Kind kind, std::int64_t n_rows, std::int64_t dim,
                                  std::int64_t group);
  static std::int64_t worker_bytes(data::Quantization::Kind kind, std::int64_t dim, std::int64_t group);

  /// Rows [first, first + n), finite, once each in any order; from one thread for each worker.
  void add(int worker, std::int64_t first, std::int64_t n, const float* rows);
  /// After all rows. Uses the sample up.
  data::Quantization finish(core::Execution& execution);

  /// Rows of the sample, ascending: row floor(i * n_rows / n) for i = 0 .. n - 1.
  static std::vector<std::int64_t> sample_rows(std::int64_t n_rows, std::int64_t dim, std::int64_t group);

 private:
  std::int64_t groups() const;
  void widen(int worker, std::int64_t n, const float* rows);
  void sample(std::int64_t first, std::int64_t n, const float* rows);
  data::Quantization steps() const;

  data::Quantization::Kind kind_;
  std::int64_t dim_, group_;
  core::AlignedBuffer<float> least_, greatest_;  ///< of int8 [workers, dim]
  std::vector<std::int64_t> sample_rows_;        ///< of int4
  core::AlignedBuffer<float> sample_;            ///< [dim, sample rows]: a group's values stand together
};

}  // namespace phase0::models
