#include "models/pca.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "linalg/eigen_topk.h"
#include "models/windowed_covariance.h"
#include "models/windowed_gram.h"
#include "store/file_system.h"

namespace phase0::models {
namespace {

/// Mean of a source's first block's frames: near enough to the mean of all to save the digits.
std::vector<float> frame_shift(const data::FeatureSource& rows) {
  data::FeatureBlock block;
  rows.load_block(0, block);
  std::vector<double> sums(static_cast<std::size_t>(block.frame_dim), 0.0);
  for (std::int64_t f = 0; f < block.n_frames; ++f) {
    for (std::size_t j = 0; j < sums.size(); ++j) {
      sums[j] += static_cast<double>(block.frames[f * block.frame_dim + static_cast<std::int64_t>(j)]);
    }
  }
  std::vector<float> shift(sums.size());
  for (std::size_t j = 0; j < sums.size(); ++j)
    shift[j] = static_cast<float>(sums[j] / static_cast<double>(block.n_frames));
  return shift;
}

/// Projects blocks onto components: frames times every window position's part of the components, then sums
/// over the positions. Products are float64 on frames minus a shift; the rest of the centring is one constant
/// per component.
class Projector {
 public:
  Projector(const PcaModel& model, std::int64_t window)
      : model_(model), window_(window), d_(model.dim / window) {
    shift_.assign(static_cast<std::size_t>(d_), 0.0);
    for (std::int64_t i = 0; i < model.dim; ++i) {
      shift_[static_cast<std::size_t>(i % d_)] +=
          model.mean[static_cast<std::size_t>(i)] / static_cast<double>(window);
    }
    constant_.assign(static_cast<std::size_t>(model.k), 0.0);
    by_position_.resize(model.k * model.dim);
    for (std::int64_t w = 0; w < window; ++w) {
      for (std::int64_t c = 0; c < model.k; ++c) {
        for (std::int64_t j = 0; j < d_; ++j) {
          const double loading = model.components[static_cast<std::size_t>(c * model.dim + w * d_ + j)];
          by_position_[(w * model.k + c) * d_ + j] = loading;
          constant_[static_cast<std::size_t>(c)] +=
              loading *
              (model.mean[static_cast<std::size_t>(w * d_ + j)] - shift_[static_cast<std::size_t>(j)]);
        }
      }
    }
  }

  struct Workspace {
    core::AlignedBuffer<double> frames;
    core::AlignedBuffer<double> products;
  };

  /// scores [n_rows, k] of a block.
  void project(const data::FeatureBlock& block, Workspace& workspace, float* scores) const {
    const std::int64_t columns = window_ * model_.k;
    workspace.frames.resize(block.n_frames * d_);
    workspace.products.resize(block.n_frames * columns);
    for (std::int64_t f = 0; f < block.n_frames; ++f) {
      for (std::int64_t j = 0; j < d_; ++j) {
        workspace.frames[f * d_ + j] =
            static_cast<double>(block.frames[f * d_ + j]) - shift_[static_cast<std::size_t>(j)];
      }
    }
    linalg::multiply_abt(block.n_frames, columns, d_, workspace.frames.data(), d_, by_position_.data(), d_,
                         workspace.products.data(), columns);
    for (const auto& run : block.runs) {
      for (std::int64_t r = 0; r < run.n_rows; ++r) {
        const double* products = workspace.products.data() + (run.first_frame + r) * columns;
        for (std::int64_t c = 0; c < model_.k; ++c) {
          double score = -constant_[static_cast<std::size_t>(c)];
          for (std::int64_t w = 0; w < window_; ++w) score += products[w * (columns + model_.k) + c];
          scores[(run.first_row + r) * model_.k + c] = static_cast<float>(score);
        }
      }
    }
  }

 private:
  const PcaModel& model_;
  std::int64_t window_;
  std::int64_t d_;
  std::vector<double> shift_;
  std::vector<double> constant_;
  core::AlignedBuffer<double> by_position_;  ///< [W, k, D]
};

PcaMethod choose_method(const data::SourceShape& rows) {
  // In double: exact where it matters, and never too large.
  const auto w = static_cast<double>(rows.window);
  const auto d = static_cast<double>(rows.frame_dim);
  return w * (w + 1) / 2 * d * d * 8 <= static_cast<double>(kMaxAutoCovarianceBytes)
             ? PcaMethod::kCovariance
             : PcaMethod::kIncrementalSvd;
}

/// Groups of panels for the memory, beside what `plan.need` states without them.
void plan_groups(const GramLayout& layout, const PcaRoom& room, PcaPlan& plan) {
  const std::int64_t all_bytes = 8 * layout.size(layout.all());
  core::ScanNeed in_parts = plan.need;
  in_parts.fixed_bytes += WindowedCovariance::kCopyBytes;
  plan.need.fixed_bytes += all_bytes;
  plan.group_bytes = all_bytes;
  plan.minimum_bytes = plan.need.minimum_bytes();
  if (room.scratch_in_memory) return;
  plan.minimum_bytes = std::min(plan.minimum_bytes, in_parts.minimum_bytes() + layout.smallest_group_bytes());
  if (plan.need.minimum_bytes() <= std::max(room.free_bytes, plan.minimum_bytes)) return;
  // A block for every thread first, then as much of the covariance as fits.
  plan.group_bytes = room.free_bytes - in_parts.bytes(room.threads, room.threads);
  if (plan.group_bytes < layout.smallest_group_bytes()) {
    plan.group_bytes = std::max(layout.smallest_group_bytes(), room.free_bytes - in_parts.minimum_bytes());
  }
  plan.need = in_parts;
  plan.need.fixed_bytes += plan.group_bytes;
  plan.n_scans = std::ssize(layout.groups(plan.group_bytes));
  plan.scratch_bytes = all_bytes;
}

}  // namespace

void fix_signs(std::vector<double>& components, std::int64_t k) {
  const std::int64_t dim = std::ssize(components) / k;
  for (std::int64_t c = 0; c < k; ++c) {
    double* row = components.data() + c * dim;
    const double* largest =
        std::max_element(row, row + dim, [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*largest < 0) std::transform(row, row + dim, row, [](double value) { return -value; });
  }
}

PcaPlan plan_pca(const data::SourceShape& rows, std::int64_t k, PcaMethod method, const PcaRoom& room) {
  PcaPlan plan;
  plan.method = method == PcaMethod::kAuto ? choose_method(rows) : method;
  plan.need = data::scan_chunks_need(rows);
  if (plan.method == PcaMethod::kIncrementalSvd) {
    plan.need.fixed_bytes += incremental_svd_size(rows.dim(), k).bytes;
    plan.minimum_bytes = plan.need.minimum_bytes();
    return plan;
  }
  const std::int64_t one = WindowedGram::workspace_bytes(rows.window, rows.frame_dim, 1);
  const std::int64_t product = WindowedGram::workspace_bytes(rows.window, rows.frame_dim, 2) - one;
  plan.need.fixed_bytes += one - product + linalg::eigen_method(rows.dim(), k).workspace_bytes;
  // Blocks are all read before any product is taken.
  plan.need.worker_bytes = std::max(plan.need.worker_bytes, product) + linalg::kBlasThreadBytes;
  plan_groups(GramLayout(rows.window, rows.frame_dim), room, plan);
  return plan;
}

PcaModel fit_pca(const data::FeatureSource& rows, std::int64_t k, core::Execution& execution,
                 const std::string& scratch_folder, PcaMethod method) {
  if (rows.n_rows() < 2 || k < 1 || k > std::min(rows.dim(), rows.n_rows())) {
    throw Error(ErrorKind::kData,
                fmt::format("PCA with {} components needs at least {} train rows of at least as many values; "
                            "there are {} rows of {}",
                            k, std::max<std::int64_t>(k, 2), rows.n_rows(), rows.dim()));
  }
  const data::SourceShape shape = rows.shape();
  const PcaPlan plan =
      plan_pca(shape, k, method,
               {execution.pool.size(), execution.memory.free_bytes(), store::lies_in_memory(scratch_folder)});
  data::ScanRoom room(execution, plan.need, "PCA", shape);
  const bool exact = plan.method == PcaMethod::kCovariance;
  const auto fitter =
      exact ? covariance_fitter(rows.window(), frame_shift(rows), plan.group_bytes, scratch_folder)
            : incremental_svd_fitter(rows.dim(), k);
  if (!exact && method == PcaMethod::kAuto) {
    execution.observer.log(
        LogLevel::kWarning,
        fmt::format("PCA: the covariance of {} frames of {} values takes more than {}; the approximate "
                    "incremental SVD is used",
                    rows.window(), rows.frame_dim(), core::format_bytes(kMaxAutoCovarianceBytes)));
  }
  const std::string name = exact ? "PCA covariance" : "PCA incremental SVD";
  for (std::int64_t s = 0; s < fitter->n_scans(); ++s) {
    const std::string part =
        fitter->n_scans() == 1 ? "" : fmt::format(", part {} of {}", s + 1, fitter->n_scans());
    data::scan_chunks(rows, room, name + part, [&](std::int64_t, std::vector<data::FeatureBlock>& chunk) {
      fitter->add(chunk, execution.pool);
    });
    fitter->end_scan(execution.pool);
  }
  return fitter->finish(k, execution);
}

core::ScanNeed pca_scores_need(const data::SourceShape& rows, std::int64_t k) {
  const std::int64_t frames = rows.block_bytes / (4 * rows.frame_dim) + 1;
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 8 * k * rows.dim();
  need.block_bytes += 4 * k * std::min(rows.block_rows, rows.n_rows);  // written pages
  // Frames in float64 and their products with every window position's components.
  need.worker_bytes += 8 * frames * (rows.frame_dim + rows.window * k) + linalg::kBlasThreadBytes;
  return need;
}

void pca_scores(const PcaModel& model, const data::FeatureSource& rows, store::MappedDataset& out,
                core::Execution& execution, const std::string& task) {
  PHASE0_CHECK(out.rows() == rows.n_rows() && out.columns() == model.k && rows.dim() == model.dim);
  const data::SourceShape shape = rows.shape();
  data::ScanRoom room(execution, pca_scores_need(shape, model.k), "PCA scores", shape);
  const Projector projector(model, rows.window());
  std::vector<Projector::Workspace> workspaces(static_cast<std::size_t>(room.workers()));
  data::scan(
      rows, room, task,
      [&](std::int64_t, std::int64_t, int worker, const data::FeatureBlock& block) {
        projector.project(block, workspaces[static_cast<std::size_t>(worker)],
                          out.mutable_data<float>() + block.first_row * model.k);
      },
      [&](std::int64_t first, std::int64_t n) {
        out.release(rows.block_first(first),
                    std::min(n * rows.block_rows(), rows.n_rows() - rows.block_first(first)));
      });
}

}  // namespace phase0::models
