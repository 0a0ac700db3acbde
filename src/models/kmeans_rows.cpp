#include "models/kmeans_rows.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/checked.h"
#include "core/random.h"
#include "data/scan.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

/// `size` of n rows without replacement, ascending (selection sampling: Knuth, TAOCP 2, 3.4.2, algorithm S).
std::vector<std::int64_t> sample_rows(std::int64_t n, std::int64_t size, std::uint64_t seed) {
  core::Random random(core::derive_seed(seed, "k-means sample"));
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(size));
  for (std::int64_t row = 0; std::ssize(rows) < size; ++row) {
    if (static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n - row))) <
        size - std::ssize(rows)) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Calls `written(first, n)` for every piece of the matrix `out` [chosen, d] that was filled, in one scan.
template <typename Written>
void copy_rows(const data::FeatureSource& source, const std::vector<std::int64_t>& chosen,
               const KMeansTask& task, core::Execution& execution, float* out, const Written& written) {
  const std::int64_t d = source.frame_dim();
  const data::SourceShape shape = source.shape();
  data::ScanRoom room(execution, copying_need(shape, std::ssize(chosen)), "k-means sample", shape);
  data::scan(source, room, task.label + ": copying rows",
             [&](std::int64_t, std::int64_t, int, const data::FeatureBlock& block) {
               const auto first = std::lower_bound(chosen.begin(), chosen.end(), block.first_row);
               auto row = first;
               for (; row != chosen.end() && *row < block.first_row + block.n_rows; ++row) {
                 std::memcpy(out + (row - chosen.begin()) * d, block.matrix() + (*row - block.first_row) * d,
                             static_cast<std::size_t>(d) * sizeof(float));
               }
               written(first - chosen.begin(), row - first);
             });
}

}  // namespace

std::unique_ptr<data::FeatureSource> keep_rows(const data::FeatureSource& source, std::int64_t n,
                                               const KMeansTask& task, core::Execution& execution) {
  const std::int64_t d = source.frame_dim();
  core::Reservation reserved(execution.memory, kept_bytes(data::matrix_shape(n, d)), "rows of k-means");
  core::AlignedBuffer<float> rows;
  try {
    rows.resize(n * d);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  copy_rows(source, sample_rows(source.n_rows(), n, task.seed), task, execution, rows.data(),
            [](std::int64_t, std::int64_t) {});
  return data::memory_source(std::move(rows), d, std::move(reserved));
}

store::MappedDataset gather_rows(const data::FeatureSource& source, std::int64_t n, const KMeansTask& task,
                                 core::Execution& execution) {
  store::MappedDataset rows =
      store::scratch_matrix(task.scratch_folder, store::ElementType::kFloat32, n, source.frame_dim());
  // The pages stay in the page cache; here they would count as the process's own.
  copy_rows(source, sample_rows(source.n_rows(), n, task.seed), task, execution, rows.mutable_data<float>(),
            [&](std::int64_t first, std::int64_t count) { rows.release(first, count); });
  return rows;
}

core::ScanNeed copying_need(const data::SourceShape& rows, std::int64_t n) {
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 8 * n;
  need.worker_bytes += std::min(rows.block_rows, rows.n_rows) * rows.frame_dim * 4;  // written pages
  return need;
}

std::int64_t kept_bytes(const data::SourceShape& rows) {
  return core::checked_mul(core::checked_mul(rows.n_rows, rows.frame_dim), std::int64_t{sizeof(float)});
}

}  // namespace phase0::models
