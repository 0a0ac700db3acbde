#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/execution.h"
#include "data/feature_source.h"
#include "store/mapped.h"

namespace phase0::models {

/// Principal components of centred, unscaled rows. Each component's largest absolute loading is positive.
struct PcaModel {
  std::int64_t k = 0;                            ///< components
  std::int64_t dim = 0;                          ///< F
  std::int64_t n_samples = 0;                    ///< rows fitted on
  std::string method;                            ///< `covariance` or `incremental_svd`
  std::vector<double> mean;                      ///< [F]
  std::vector<double> components;                ///< [k, F], orthonormal rows
  std::vector<double> explained_variance;        ///< [k], ddof 1, descending
  std::vector<double> explained_variance_ratio;  ///< [k], of the total variance
};

enum class PcaMethod {
  kAuto,            ///< covariance when it fits the free budget, else incremental SVD
  kCovariance,      ///< exact: F x F covariance, never formed from rows (models/windowed_gram.h)
  kIncrementalSvd,  ///< keeps k + oversampling directions and a chunk of rows (Ross, Lim, Lin, Yang 2008);
                    ///< approximate
};

/// What a fit takes in at once and gives at the end: the two methods behind one interface.
class PcaFitter {
 public:
  virtual ~PcaFitter() = default;
  /// The next blocks, in row order. May use up their contents.
  virtual void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) = 0;
  /// Call once, after at least two rows.
  virtual PcaModel finish(std::int64_t k, core::ThreadPool& pool) = 0;
};

/// `shift` [frame_dim] is a value near the frames' mean. `k` bounds the k of finish().
std::unique_ptr<PcaFitter> covariance_fitter(std::int64_t window, std::vector<float> shift);
std::unique_ptr<PcaFitter> incremental_svd_fitter(std::int64_t dim, std::int64_t k);

/// Fits on all rows in one scan. 1 <= k <= min(F, N), N >= 2; throws Error (kData) otherwise, kMemory when
/// not even the incremental SVD fits the budget. The same bits for any thread count and budget that lead to
/// the same method.
PcaModel fit_pca(const data::FeatureSource& rows, std::int64_t k, core::Execution& execution,
                 PcaMethod method = PcaMethod::kAuto);

/// Memory of a fit, scan included.
std::int64_t pca_bytes(const data::SourceShape& rows, std::int64_t k, PcaMethod method, int threads);

/// Memory of pca_scores.
std::int64_t pca_scores_bytes(const data::SourceShape& rows, std::int64_t k, int threads);

/// Scores of all rows, [N, k]: float64 products rounded to float32, one scan. `out` is released behind the
/// scan.
void pca_scores(const PcaModel& model, const data::FeatureSource& rows, store::MappedDataset& out,
                core::Execution& execution, const std::string& task);

/// Flips signs so that each component's largest absolute loading (the first of them on ties) is positive.
void fix_signs(std::vector<double>& components, std::int64_t k);

}  // namespace phase0::models
