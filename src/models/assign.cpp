#include "models/assign.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"

namespace phase0::models {
namespace {

void add(AssignmentSums& to, const AssignmentSums& from) {
  to.n_fitted += from.n_fitted;
  to.n_holdout += from.n_holdout;
  to.inertia_fitted += from.inertia_fitted;
  to.inertia_holdout += from.inertia_holdout;
}

/// Takes the pages of a finished chunk out of memory; they stay dirty in the page cache until commit.
void release(const data::FeatureSource& rows, const AssignmentOut& out, std::int64_t first_block,
             std::int64_t n) {
  const std::int64_t first = rows.block_first(first_block);
  const std::int64_t count = std::min(n * rows.block_rows(), rows.n_rows() - first);
  out.cluster.release(first, count);
  out.distance.release(first, count);
}

}  // namespace

AssignmentSums assign_nearest(const std::vector<float>& centroids, std::int64_t k,
                              const std::vector<float>& shift, const data::FeatureSource& rows,
                              const data::SampleIndex& index, AssignmentOut out, core::Execution& execution,
                              const std::string& task) {
  const std::int64_t d = rows.frame_dim();
  PHASE0_CHECK(out.cluster.rows() == rows.n_rows() && out.distance.rows() == rows.n_rows());
  const data::SourceShape shape = rows.shape();
  data::ScanRoom room(execution, assign_need(shape, k), "assignment", shape);
  const linalg::NearestCentroids nearest(centroids, {k}, d, shift);
  std::vector<linalg::NearestCentroids::Workspace> workspaces(static_cast<std::size_t>(room.workers()));
  std::vector<AssignmentSums> partial(static_cast<std::size_t>(room.slots()));
  AssignmentSums total;
  data::scan(
      rows, room, task,
      [&](std::int64_t, std::int64_t slot, int worker, const data::FeatureBlock& block) {
        auto& workspace = workspaces[static_cast<std::size_t>(worker)];
        nearest.assign(block.matrix(), block.n_rows, workspace);
        std::int32_t* cluster = out.cluster.mutable_data<std::int32_t>() + block.first_row;
        float* distance = out.distance.mutable_data<float>() + block.first_row;
        AssignmentSums sums;
        std::int64_t utterance = index.find(block.first_row);
        for (std::int64_t r = 0; r < block.n_rows; ++r) {
          const data::UtteranceRows* rows_of = &index.utterances()[static_cast<std::size_t>(utterance)];
          if (block.first_row + r >= rows_of->first_row + rows_of->n_rows) {
            rows_of = &index.utterances()[static_cast<std::size_t>(++utterance)];
          }
          cluster[r] = workspace.labels[r];
          const double squared = linalg::kernels().squared_distance(
              block.matrix() + r * d, centroids.data() + static_cast<std::int64_t>(cluster[r]) * d, d);
          distance[r] = static_cast<float>(std::sqrt(squared));
          ++(rows_of->holdout ? sums.n_holdout : sums.n_fitted);
          (rows_of->holdout ? sums.inertia_holdout : sums.inertia_fitted) += squared;
        }
        partial[static_cast<std::size_t>(slot)] = sums;
      },
      [&](std::int64_t first, std::int64_t n) {
        for (std::int64_t slot = 0; slot < n; ++slot) add(total, partial[static_cast<std::size_t>(slot)]);
        release(rows, out, first, n);
      });
  return total;
}

void assign_quartiles(const QuartileModel& model, const data::FeatureSource& scores, AssignmentOut out,
                      core::Execution& execution, const std::string& task) {
  PHASE0_CHECK(scores.frame_dim() == model.d && out.cluster.rows() == scores.n_rows());
  const data::SourceShape shape = scores.shape();
  data::ScanRoom room(execution, assign_quartiles_need(shape), "quartile ids", shape);
  data::scan(
      scores, room, task,
      [&](std::int64_t, std::int64_t, int, const data::FeatureBlock& block) {
        std::int32_t* cluster = out.cluster.mutable_data<std::int32_t>() + block.first_row;
        float* distance = out.distance.mutable_data<float>() + block.first_row;
        for (std::int64_t r = 0; r < block.n_rows; ++r) {
          cluster[r] = quartile_id(model, block.matrix() + r * model.d);
          distance[r] = 0.0f;
        }
      },
      [&](std::int64_t first, std::int64_t n) { release(scores, out, first, n); });
}

core::ScanNeed assign_need(const data::SourceShape& rows, std::int64_t k) {
  const std::int64_t block = std::min(rows.block_rows, rows.n_rows);
  core::ScanNeed need = assign_quartiles_need(rows);
  need.fixed_bytes += 4 * k * rows.frame_dim + linalg::NearestCentroids::bytes(k, rows.frame_dim, 1);
  need.block_bytes += static_cast<std::int64_t>(sizeof(AssignmentSums));
  need.worker_bytes +=
      linalg::NearestCentroids::workspace_bytes(block, rows.frame_dim, 1) + linalg::kBlasThreadBytes;
  return need;
}

core::ScanNeed assign_quartiles_need(const data::SourceShape& scores) {
  core::ScanNeed need = data::scan_need(scores);
  need.block_bytes += 8 * std::min(scores.block_rows, scores.n_rows);  // written pages
  return need;
}

}  // namespace phase0::models
