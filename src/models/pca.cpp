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
#include "models/windowed_gram.h"

namespace phase0::models {
namespace {

std::int64_t blocks_in_flight(int threads) {
  return 2 * threads;
}

class CovarianceFitter final : public PcaFitter {
 public:
  CovarianceFitter(std::int64_t window, std::vector<float> shift) : gram_(window, std::move(shift)) {}

  void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) override {
    gram_.add(blocks, pool);
  }

  PcaModel finish(std::int64_t k, core::ThreadPool& pool) override {
    gram_.finish(pool);
    const double total = gram_.total_variance();
    if (!std::isfinite(total)) {
      throw Error(ErrorKind::kData, "PCA: the values are too large for float32 products of contexts");
    }
    const auto apply = [&](const double* x, double* y, std::int64_t count) {
      gram_.apply(x, y, count, pool);
    };
    linalg::EigenPairs pairs = linalg::largest_eigenpairs(apply, gram_.dim(), k);
    PcaModel model;
    model.k = k;
    model.dim = gram_.dim();
    model.n_samples = gram_.n();
    model.method = "covariance";
    model.mean = gram_.mean();
    model.components = std::move(pairs.vectors);
    model.explained_variance = std::move(pairs.values);
    for (const double variance : model.explained_variance) {
      model.explained_variance_ratio.push_back(total > 0 ? variance / total : 0.0);
    }
    fix_signs(model.components, k);
    return model;
  }

 private:
  WindowedGram gram_;
};

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

PcaMethod choose_method(const data::FeatureSource& rows, std::int64_t k, const core::Execution& execution) {
  const std::int64_t free = execution.memory.free_bytes();
  return pca_bytes(rows.shape(), k, PcaMethod::kCovariance, execution.pool.size()) <= free
             ? PcaMethod::kCovariance
             : PcaMethod::kIncrementalSvd;
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

std::unique_ptr<PcaFitter> covariance_fitter(std::int64_t window, std::vector<float> shift) {
  return std::make_unique<CovarianceFitter>(window, std::move(shift));
}

PcaModel fit_pca(const data::FeatureSource& rows, std::int64_t k, core::Execution& execution,
                 PcaMethod method) {
  if (rows.n_rows() < 2 || k < 1 || k > std::min(rows.dim(), rows.n_rows())) {
    throw Error(ErrorKind::kData,
                fmt::format("PCA with {} components needs at least {} train rows of at least as many values; "
                            "there are {} rows of {}",
                            k, std::max<std::int64_t>(k, 2), rows.n_rows(), rows.dim()));
  }
  const int threads = execution.pool.size();
  if (method == PcaMethod::kAuto) method = choose_method(rows, k, execution);
  const core::Reservation memory(execution.memory, pca_bytes(rows.shape(), k, method, threads), "PCA");
  const bool exact = method == PcaMethod::kCovariance;
  const auto fitter =
      exact ? covariance_fitter(rows.window(), frame_shift(rows)) : incremental_svd_fitter(rows.dim(), k);
  if (!exact) {
    execution.observer.log(
        LogLevel::kWarning,
        "PCA: the covariance does not fit the memory budget; the approximate incremental SVD is used");
  }
  data::scan_chunks(
      rows, execution, exact ? "PCA covariance" : "PCA incremental SVD", blocks_in_flight(threads),
      [&](std::int64_t, std::vector<data::FeatureBlock>& chunk) { fitter->add(chunk, execution.pool); });
  return fitter->finish(k, execution.pool);
}

std::int64_t pca_bytes(const data::SourceShape& rows, std::int64_t k, PcaMethod method, int threads) {
  const std::int64_t blocks = blocks_in_flight(threads) * rows.block_bytes;
  if (method == PcaMethod::kIncrementalSvd) {
    constexpr std::int64_t kRows = 256 + 64 + 1;
    return blocks + 8 * rows.dim() * (2 * (kRows + 2 * k) + 2) + 8 * 4 * (kRows + 2 * k) * (kRows + 2 * k);
  }
  return blocks + WindowedGram::bytes(rows.window, rows.frame_dim, threads) +
         linalg::eigen_workspace_bytes(rows.dim(), k);
}

std::int64_t pca_scores_bytes(const data::SourceShape& rows, std::int64_t k, int threads) {
  // Frames in float64 and their products with every window position's components, per worker.
  const std::int64_t frames = rows.block_bytes / (4 * rows.frame_dim) + 1;
  return threads * (rows.block_bytes + 8 * frames * (rows.frame_dim + rows.window * k)) + 8 * k * rows.dim() +
         blocks_in_flight(threads) * rows.block_rows * k * 4;
}

void pca_scores(const PcaModel& model, const data::FeatureSource& rows, store::MappedDataset& out,
                core::Execution& execution, const std::string& task) {
  PHASE0_CHECK(out.rows() == rows.n_rows() && out.columns() == model.k && rows.dim() == model.dim);
  const core::Reservation memory(
      execution.memory, pca_scores_bytes(rows.shape(), model.k, execution.pool.size()), "PCA scores");
  const Projector projector(model, rows.window());
  std::vector<Projector::Workspace> workspaces(static_cast<std::size_t>(execution.pool.size()));
  data::scan(
      rows, execution, task, blocks_in_flight(execution.pool.size()),
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
