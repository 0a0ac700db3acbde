#include "models/pca.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/checked.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "linalg/eigen_topk.h"
#include "models/spectral_products.h"
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

/// Projects blocks onto the components of all models: frames times every window position's part of the
/// components, then sums over the positions. Products are float64 on frames minus a shift; the rest of the
/// centring is one constant per component.
class Projector {
 public:
  Projector(std::vector<PcaScores>& scores, std::int64_t window)
      : scores_(scores),
        window_(window),
        k_(scores[0].model->k),
        d_(scores[0].model->dim / window),
        columns_(std::ssize(scores) * window * k_) {
    shift_.assign(static_cast<std::size_t>(d_), 0.0);
    const PcaModel& first = *scores[0].model;
    for (std::int64_t i = 0; i < first.dim; ++i) {
      shift_[static_cast<std::size_t>(i % d_)] +=
          first.mean[static_cast<std::size_t>(i)] / static_cast<double>(window);
    }
    constant_.assign(static_cast<std::size_t>(std::ssize(scores) * k_), 0.0);
    loadings_.resize(columns_ * d_);
    for (std::int64_t m = 0; m < std::ssize(scores); ++m) {
      PHASE0_CHECK(scores[static_cast<std::size_t>(m)].model->k == k_);
      for (std::int64_t w = 0; w < window; ++w) {
        for (std::int64_t c = 0; c < k_; ++c) take_loadings(m, w, c);
      }
    }
  }

  struct Workspace {
    core::AlignedBuffer<double> frames;
    core::AlignedBuffer<double> products;
  };

  void project(const data::FeatureBlock& block, Workspace& workspace) const {
    workspace.frames.resize(block.n_frames * d_);
    workspace.products.resize(block.n_frames * columns_);
    for (std::int64_t f = 0; f < block.n_frames; ++f) {
      for (std::int64_t j = 0; j < d_; ++j) {
        workspace.frames[f * d_ + j] =
            static_cast<double>(block.frames[f * d_ + j]) - shift_[static_cast<std::size_t>(j)];
      }
    }
    linalg::multiply_abt(block.n_frames, columns_, d_, workspace.frames.data(), d_, loadings_.data(), d_,
                         workspace.products.data(), columns_);
    for (std::int64_t m = 0; m < std::ssize(scores_); ++m) sum_positions(block, m, workspace.products.data());
  }

 private:
  void take_loadings(std::int64_t m, std::int64_t w, std::int64_t c) {
    const PcaModel& model = *scores_[static_cast<std::size_t>(m)].model;
    double* to = loadings_.data() + ((m * window_ + w) * k_ + c) * d_;
    for (std::int64_t j = 0; j < d_; ++j) {
      to[j] = model.components[static_cast<std::size_t>(c * model.dim + w * d_ + j)];
      constant_[static_cast<std::size_t>(m * k_ + c)] +=
          to[j] * (model.mean[static_cast<std::size_t>(w * d_ + j)] - shift_[static_cast<std::size_t>(j)]);
    }
  }

  void sum_positions(const data::FeatureBlock& block, std::int64_t m, const double* products) const {
    PcaScores& scores = scores_[static_cast<std::size_t>(m)];
    float* out = scores.out.mutable_data<float>() + block.first_row * k_;
    for (const auto& run : block.runs) {
      for (std::int64_t r = 0; r < run.n_rows; ++r) {
        const double* first = products + (run.first_frame + scores.start + r) * columns_ + m * window_ * k_;
        for (std::int64_t c = 0; c < k_; ++c) {
          double score = -constant_[static_cast<std::size_t>(m * k_ + c)];
          for (std::int64_t w = 0; w < window_; ++w) score += first[w * (columns_ + k_) + c];
          out[(run.first_row + r) * k_ + c] = static_cast<float>(score);
        }
      }
    }
  }

  std::vector<PcaScores>& scores_;
  std::int64_t window_;
  std::int64_t k_;
  std::int64_t d_;
  std::int64_t columns_;
  std::vector<double> shift_;
  std::vector<double> constant_;          ///< [model, k]
  core::AlignedBuffer<double> loadings_;  ///< [model, W, k, D]
};

/// Memory of the steps of a covariance, beside what their scans need anyway.
class CovarianceBytes {
 public:
  CovarianceBytes(const GramLayout& layout, std::int64_t k)
      : layout_(layout),
        most_bands_(SpectralProducts::suits(layout.window(), layout.d()) ? SpectralProducts::kBands : 0),
        edges_(WindowedGram::workspace_bytes(layout, 0)),
        eigen_(linalg::eigen_method(layout.dim(), k).workspace_bytes) {}

  int most_bands() const { return most_bands_; }
  std::int64_t panels() const { return 8 * layout_.size(layout_.all()); }
  /// A scan for products of whole runs; with 0 bands those that are kept for the panels.
  std::int64_t products(int bands) const {
    return most_bands_ > 0 ? SpectralProducts::bytes(layout_.window(), layout_.d(), bands) : 0;
  }
  /// All at once, and the eigenpairs after it.
  std::int64_t whole() const { return panels() + std::max(products(most_bands_) + edges_, eigen_); }
  /// Beside one group of the panels, in its scan and when eigenpairs are sought.
  std::int64_t beside_group() const {
    return std::max(products(0) + edges_, eigen_) + WindowedCovariance::kCopyBytes;
  }
  std::int64_t in_parts(int bands, std::int64_t group_bytes) const {
    return std::max(products(bands), beside_group() + group_bytes);
  }

 private:
  const GramLayout& layout_;
  int most_bands_;
  std::int64_t edges_, eigen_;
};

/// How much of a covariance is worked on in a scan: all, or first the products of whole runs, in a scan or a
/// few, and then one group of panels after the other. `plan.need` is of the scans themselves.
void plan_scans(const GramLayout& layout, std::int64_t k, const PcaRoom& room, PcaPlan& plan) {
  const CovarianceBytes bytes(layout, k);
  const core::ScanNeed scan = plan.need;
  plan.need.fixed_bytes += bytes.whole();
  plan.group_bytes = bytes.panels();
  plan.spectral_bands = bytes.most_bands();
  plan.minimum_bytes = plan.need.minimum_bytes();
  if (room.scratch_in_memory) return;
  const std::int64_t least_group = layout.smallest_group_bytes();
  const std::int64_t least = bytes.in_parts(std::min(1, bytes.most_bands()), least_group);
  plan.minimum_bytes = std::min(plan.minimum_bytes, scan.minimum_bytes() + least);
  if (plan.need.minimum_bytes() <= std::max(room.free_bytes, plan.minimum_bytes)) return;
  // A block for every thread first, then as much as fits.
  std::int64_t free_bytes = room.free_bytes - scan.bytes(room.threads, room.threads);
  if (free_bytes < least) free_bytes = room.free_bytes - scan.minimum_bytes();
  plan.group_bytes = std::clamp(free_bytes - bytes.beside_group(), least_group, bytes.panels());
  while (plan.spectral_bands > 1 && bytes.products(plan.spectral_bands) > free_bytes) --plan.spectral_bands;
  plan.need = scan;
  plan.need.fixed_bytes += bytes.in_parts(plan.spectral_bands, plan.group_bytes);
  plan.n_scans = std::ssize(layout.groups(plan.group_bytes));
  if (plan.spectral_bands > 0) plan.n_scans += core::ceil_div(SpectralProducts::kBands, plan.spectral_bands);
  plan.scratch_bytes = plan.group_bytes < bytes.panels() ? bytes.panels() : 0;
}

void check_sizes(const data::FeatureSource& rows, const PcaTask& task) {
  const std::int64_t dim = task.window * rows.frame_dim();
  if (rows.n_rows() >= 2 && task.k >= 1 && task.k <= std::min(dim, rows.n_rows())) return;
  throw Error(ErrorKind::kData,
              fmt::format("PCA with {} components needs at least {} train rows of at least as many values; "
                          "there are {} rows of {}",
                          task.k, std::max<std::int64_t>(task.k, 2), rows.n_rows(), dim));
}

/// How far a fit has come: everything before `block` of `scan` is in the fitter.
struct PcaProgress {
  std::unique_ptr<PcaFitter> fitter;
  std::int64_t scan = 0;
  std::int64_t block = 0;
  bool resumed = false;
};

/// What an earlier start has kept, or the beginning.
PcaProgress kept_progress(core::Checkpoint& checkpoint, std::int64_t n_blocks,
                          const std::function<std::unique_ptr<PcaFitter>()>& new_fitter) {
  PcaProgress kept;
  kept.resumed = checkpoint.load([&](core::ByteSource& source) {
    kept.scan = source.get<std::int64_t>();
    kept.block = source.get<std::int64_t>();
    kept.fitter = new_fitter();
    const bool sound =
        kept.scan >= 0 && kept.scan < kept.fitter->n_scans() && kept.block >= 0 && kept.block <= n_blocks;
    if (!sound) throw Error(ErrorKind::kStorage, "is not the progress of this PCA");
    kept.fitter->load(source);
  });
  if (kept.resumed) return kept;
  return {new_fitter()};
}

void run_scans(PcaProgress& progress, const data::FeatureSource& rows, data::ScanRoom& room,
               const std::string& name, core::Checkpoint& checkpoint, core::ThreadPool& pool) {
  PcaFitter& fitter = *progress.fitter;
  for (; progress.scan < fitter.n_scans(); ++progress.scan) {
    const std::string part =
        fitter.n_scans() == 1 ? "" : fmt::format(", part {} of {}", progress.scan + 1, fitter.n_scans());
    const auto add = [&](std::int64_t first, std::vector<data::FeatureBlock>& chunk) {
      fitter.add(chunk, pool);
      if (!fitter.can_save()) return;
      checkpoint.save_when_due([&](core::ByteSink& sink) {
        sink.put(progress.scan);
        sink.put(first + std::ssize(chunk));
        fitter.save(sink);
      });
    };
    data::scan_chunks(rows, room, name + part, add, std::exchange(progress.block, 0));
    fitter.end_scan(pool);
  }
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

PcaMethod resolve_pca_method(PcaMethod method, std::int64_t window, std::int64_t frame_dim) {
  if (method != PcaMethod::kAuto) return method;
  // In double: exact where it matters, and never too large.
  const auto w = static_cast<double>(window);
  const auto d = static_cast<double>(frame_dim);
  return w * (w + 1) / 2 * d * d * 8 <= static_cast<double>(kMaxAutoCovarianceBytes)
             ? PcaMethod::kCovariance
             : PcaMethod::kIncrementalSvd;
}

PcaPlan plan_pca(const data::SourceShape& rows, const PcaTask& task, const PcaRoom& room) {
  PHASE0_CHECK(rows.window == task.span());
  PcaPlan plan;
  plan.method = resolve_pca_method(task.method, task.window, rows.frame_dim);
  plan.need = data::scan_chunks_need(rows);
  if (plan.method == PcaMethod::kIncrementalSvd) {
    plan.need.fixed_bytes += incremental_svd_size(rows.dim(), task.k).bytes;
    plan.minimum_bytes = plan.need.minimum_bytes();
    return plan;
  }
  const GramLayout layout(task.window, rows.frame_dim, rows.window);
  std::int64_t worker = WindowedGram::workspace_bytes(layout, 1) - WindowedGram::workspace_bytes(layout, 0);
  if (SpectralProducts::suits(task.window, rows.frame_dim)) {
    worker += SpectralProducts::worker_bytes(task.window, rows.frame_dim);
  }
  plan.need.block_bytes += WindowedGram::block_bytes(layout);
  // Blocks are all read before any product is taken.
  plan.need.worker_bytes = std::max(plan.need.worker_bytes, worker) + linalg::kBlasThreadBytes;
  plan_scans(layout, task.k, room, plan);
  return plan;
}

std::vector<PcaModel> fit_pca(const data::FeatureSource& rows, const PcaTask& task,
                              core::Execution& execution) {
  check_sizes(rows, task);
  const data::SourceShape shape = rows.shape();
  const PcaPlan plan = plan_pca(
      shape, task,
      {execution.pool.size(), execution.memory.free_bytes(), store::lies_in_memory(task.scratch_folder)});
  data::ScanRoom room(execution, plan.need, "PCA", shape);
  const bool exact = plan.method == PcaMethod::kCovariance;
  PHASE0_CHECK(exact || task.span() == task.window);
  if (!exact && task.method == PcaMethod::kAuto) {
    execution.observer.log(
        LogLevel::kWarning,
        fmt::format("PCA: the covariance of {} frames of {} values takes more than {}; the approximate "
                    "incremental SVD is used",
                    task.window, rows.frame_dim(), core::format_bytes(kMaxAutoCovarianceBytes)));
  }
  const std::string name = exact ? "PCA covariance" : "PCA incremental SVD";
  core::Checkpoint checkpoint(execution.units, task.progress);
  PcaProgress progress = kept_progress(checkpoint, rows.n_blocks(), [&] {
    return exact ? covariance_fitter(task, frame_shift(rows), plan)
                 : incremental_svd_fitter(task.window * shape.frame_dim, task.k);
  });
  if (progress.resumed) {
    execution.observer.log(LogLevel::kInfo, fmt::format("{}: goes on at row {} of scan {}", name,
                                                        rows.block_first(progress.block), progress.scan + 1));
  }
  run_scans(progress, rows, room, name, checkpoint, execution.pool);
  return progress.fitter->finish(task.k, execution);
}

core::ScanNeed pca_scores_need(const data::SourceShape& rows, std::int64_t window, std::int64_t components) {
  const std::int64_t frames = rows.block_bytes / (4 * rows.frame_dim) + 1;
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 8 * components * window * rows.frame_dim;
  need.block_bytes += 4 * components * std::min(rows.block_rows, rows.n_rows);  // written pages
  // Frames in float64 and their products with every window position's components.
  need.worker_bytes += 8 * frames * (rows.frame_dim + window * components) + linalg::kBlasThreadBytes;
  return need;
}

void pca_scores(std::vector<PcaScores>& scores, std::int64_t window, const data::FeatureSource& rows,
                core::Execution& execution, const std::string& task) {
  std::int64_t components = 0;
  for (const PcaScores& one : scores) {
    PHASE0_CHECK(one.out.rows() == rows.n_rows() && one.out.columns() == one.model->k &&
                 one.model->dim == window * rows.frame_dim() && one.start + window <= rows.window());
    components += one.model->k;
  }
  const data::SourceShape shape = rows.shape();
  data::ScanRoom room(execution, pca_scores_need(shape, window, components), "PCA scores", shape);
  const Projector projector(scores, window);
  std::vector<Projector::Workspace> workspaces(static_cast<std::size_t>(room.workers()));
  data::scan(
      rows, room, task,
      [&](std::int64_t, std::int64_t, int worker, const data::FeatureBlock& block) {
        projector.project(block, workspaces[static_cast<std::size_t>(worker)]);
      },
      [&](std::int64_t first, std::int64_t n) {
        const std::int64_t row = rows.block_first(first);
        for (const PcaScores& one : scores) {
          one.out.release(row, std::min(n * rows.block_rows(), rows.n_rows() - row));
        }
      });
}

}  // namespace phase0::models
