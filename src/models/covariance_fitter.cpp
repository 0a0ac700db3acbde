#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/check.h"
#include "linalg/eigen_topk.h"
#include "models/pca.h"
#include "models/windowed_covariance.h"
#include "phase0/error.h"

namespace phase0::models {
namespace {

/// Variance per value under which float32 products of contexts vanish or keep too few digits.
constexpr double kLeastVariance = 1e-32;

void subtract(const std::vector<float>& shift, data::FeatureBlock& block) {
  const auto d = std::ssize(shift);
  for (std::int64_t f = 0; f < block.n_frames; ++f) {
    float* frame = block.frames.data() + f * d;
    for (std::int64_t j = 0; j < d; ++j) frame[j] -= shift[static_cast<std::size_t>(j)];
  }
}

/// Sums up the covariance in one scan; or first the products of whole runs, some frequencies in a scan, and
/// then one group of its panels after the other.
class CovarianceFitter final : public PcaFitter {
 public:
  CovarianceFitter(const PcaTask& task, std::vector<float> shift, const PcaPlan& plan)
      : task_(task),
        shift_(std::move(shift)),
        layout_(task.window, std::ssize(shift_), task.span()),
        covariance_(layout_, layout_.groups(plan.group_bytes), task.scratch_folder) {
    const std::int64_t n_groups = covariance_.n_groups();
    if (plan.spectral_bands > 0) {
      products_.emplace(task.window, layout_.d());
      for (int first = 0; first < SpectralProducts::kBands; first += plan.spectral_bands) {
        const int end = std::min(first + plan.spectral_bands, SpectralProducts::kBands);
        scans_.push_back({first, end, false});
      }
    }
    if (plan.n_scans == 1 && !scans_.empty()) {
      scans_[0].panels = true;
    } else {
      scans_.insert(scans_.end(), static_cast<std::size_t>(n_groups), {0, 0, true});
    }
    PHASE0_CHECK(std::ssize(scans_) == plan.n_scans);
    begin_scan();
  }

  std::int64_t n_scans() const override { return std::ssize(scans_); }

  void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) override {
    pool.run(std::ssize(blocks),
             [&](std::int64_t b, int) { subtract(shift_, blocks[static_cast<std::size_t>(b)]); });
    if (scan().takes_bands()) products_->add(blocks, pool);
    if (!part_) return;
    if (products_) {
      part_->add_edges(blocks, pool);
    } else {
      part_->add(blocks, pool);
    }
  }

  /// Groups of panels that are finished may lie in the scratch file, which nobody can go on from.
  bool can_save() const override { return covariance_.n_taken() == 0; }

  void save(core::ByteSink& sink) const override {
    sink.put(n_ended_);
    sink.put(n_scans());
    sink.put(part_.has_value());
    if (products_) products_->save(sink);
    if (part_) part_->save(sink);
  }

  void load(core::ByteSource& source) override {
    PHASE0_CHECK(n_ended_ == 0);
    const auto n_ended = source.get<std::int64_t>();
    const bool same = source.get<std::int64_t>() == n_scans() && n_ended >= 0 && n_ended < n_scans();
    if (!same) refuse_other_plan();
    n_ended_ = n_ended;
    part_.reset();
    if (products_) products_.emplace(task_.window, layout_.d());
    begin_scan();
    if (source.get<bool>() != part_.has_value()) refuse_other_plan();
    if (products_) products_->load(source);
    if (part_) part_->load(source);
  }

  void end_scan(core::ThreadPool& pool) override {
    if (scan().takes_bands()) products_->end_scan(pool);
    if (part_) {
      part_->finish(pool, products_ ? &*products_ : nullptr);
      n_samples_ = part_->n();
      mean_ = part_->mean();
      covariance_.take(*part_);
      part_.reset();
    }
    if (++n_ended_ < n_scans()) {
      begin_scan();
    } else {
      products_.reset();
    }
  }

  std::vector<PcaModel> finish(std::int64_t k, core::Execution& execution) override {
    std::vector<PcaModel> models;
    for (const std::int64_t start : task_.starts) models.push_back(model(start, k, execution));
    return models;
  }

 private:
  struct Scan {
    int first_band = 0, end_band = 0;
    bool panels = false;  ///< of the next group
    bool takes_bands() const { return end_band > first_band; }
  };
  static void refuse_other_plan() {
    throw Error(ErrorKind::kStorage, "was kept within another memory budget");
  }
  const Scan& scan() const { return scans_.at(static_cast<std::size_t>(n_ended_)); }

  void begin_scan() {
    if (scan().takes_bands()) products_->begin_scan(scan().first_band, scan().end_band);
    if (scan().panels) part_.emplace(covariance_.next_part());
  }

  /// Contexts of this total variance; a warning where they are not quite constant.
  bool count_as_constant(double total, core::Execution& execution) const {
    if (!std::isfinite(total)) {
      throw Error(ErrorKind::kData, "PCA: the values are too large for float32 products of contexts");
    }
    if (total >= kLeastVariance * static_cast<double>(layout_.dim())) return false;
    if (total > 0) {
      execution.observer.log(LogLevel::kWarning,
                             fmt::format("PCA: the contexts vary by less than {:g}, too little for float32 "
                                         "products: they count as constant",
                                         std::sqrt(kLeastVariance)));
    }
    return true;
  }

  PcaModel model(std::int64_t start, std::int64_t k, core::Execution& execution) {
    const double total = covariance_.total_variance(start);
    const bool constant = count_as_constant(total, execution);
    const auto apply = [&](const double* x, double* y, std::int64_t count) {
      execution.check_stop();
      if (constant) {
        std::fill_n(y, count * layout_.dim(), 0.0);
      } else {
        covariance_.apply(start, x, y, count, execution.pool);
      }
    };
    linalg::EigenPairs pairs = linalg::largest_eigenpairs(apply, layout_.dim(), k);
    PcaModel model;
    model.k = k;
    model.dim = layout_.dim();
    model.n_samples = n_samples_;
    model.method = "covariance";
    for (std::int64_t i = 0; i < model.dim; ++i) {
      const auto at = static_cast<std::size_t>(start * layout_.d() + i);
      model.mean.push_back(mean_[at] + static_cast<double>(shift_[at % shift_.size()]));
    }
    model.components = std::move(pairs.vectors);
    model.explained_variance = std::move(pairs.values);
    for (const double variance : model.explained_variance) {
      model.explained_variance_ratio.push_back(constant ? 0.0 : variance / total);
    }
    fix_signs(model.components, k);
    return model;
  }

  PcaTask task_;
  std::vector<float> shift_;
  GramLayout layout_;
  WindowedCovariance covariance_;
  std::vector<Scan> scans_;
  std::int64_t n_ended_ = 0;
  std::optional<SpectralProducts> products_;
  std::optional<WindowedGram> part_;
  std::int64_t n_samples_ = 0;
  std::vector<double> mean_;  ///< [span, D], less the shift
};

}  // namespace

std::unique_ptr<PcaFitter> covariance_fitter(const PcaTask& task, std::vector<float> shift,
                                             const PcaPlan& plan) {
  return std::make_unique<CovarianceFitter>(task, std::move(shift), plan);
}

}  // namespace phase0::models
