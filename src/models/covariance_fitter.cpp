#include <cmath>
#include <optional>

#include "linalg/eigen_topk.h"
#include "models/pca.h"
#include "models/windowed_covariance.h"
#include "phase0/error.h"

namespace phase0::models {
namespace {

/// Sums up one group of the covariance's panels per scan.
class CovarianceFitter final : public PcaFitter {
 public:
  CovarianceFitter(std::int64_t window, std::vector<float> shift, std::int64_t group_bytes,
                   const std::string& scratch_folder)
      : shift_(std::move(shift)),
        layout_(window, std::ssize(shift_)),
        covariance_(layout_, layout_.groups(group_bytes), scratch_folder) {}

  std::int64_t n_scans() const override { return covariance_.n_groups(); }

  void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) override {
    if (!part_) part_.emplace(covariance_.next_part(shift_));
    part_->add(blocks, pool);
  }

  void end_scan(core::ThreadPool& pool) override {
    part_->finish(pool);
    n_samples_ = part_->n();
    mean_ = part_->mean();
    covariance_.take(*part_);
    part_.reset();
  }

  PcaModel finish(std::int64_t k, core::Execution& execution) override {
    const double total = covariance_.total_variance();
    if (!std::isfinite(total)) {
      throw Error(ErrorKind::kData, "PCA: the values are too large for float32 products of contexts");
    }
    const auto apply = [&](const double* x, double* y, std::int64_t count) {
      execution.check_stop();
      covariance_.apply(x, y, count, execution.pool);
    };
    linalg::EigenPairs pairs = linalg::largest_eigenpairs(apply, layout_.dim(), k);
    PcaModel model;
    model.k = k;
    model.dim = layout_.dim();
    model.n_samples = n_samples_;
    model.method = "covariance";
    model.mean = mean_;
    model.components = std::move(pairs.vectors);
    model.explained_variance = std::move(pairs.values);
    for (const double variance : model.explained_variance) {
      model.explained_variance_ratio.push_back(total > 0 ? variance / total : 0.0);
    }
    fix_signs(model.components, k);
    return model;
  }

 private:
  std::vector<float> shift_;
  GramLayout layout_;
  WindowedCovariance covariance_;
  std::optional<WindowedGram> part_;
  std::int64_t n_samples_ = 0;
  std::vector<double> mean_;
};

}  // namespace

std::unique_ptr<PcaFitter> covariance_fitter(std::int64_t window, std::vector<float> shift,
                                             std::int64_t group_bytes, const std::string& scratch_folder) {
  return std::make_unique<CovarianceFitter>(window, std::move(shift), group_bytes, scratch_folder);
}

}  // namespace phase0::models
