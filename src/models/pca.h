#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"
#include "phase0/options.h"
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

/// What a fit takes in at once and gives at the end: the two methods behind one interface.
class PcaFitter {
 public:
  virtual ~PcaFitter() = default;
  /// How often all rows are to be added.
  virtual std::int64_t n_scans() const { return 1; }
  /// The next blocks, in row order. May use up their contents.
  virtual void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) = 0;
  /// After the last row of a scan; of at least two rows.
  virtual void end_scan(core::ThreadPool& pool) = 0;
  /// Call once, after the last scan. Throws Error (kInterrupted) when asked to stop.
  virtual PcaModel finish(std::int64_t k, core::Execution& execution) = 0;
};

/// The exact F x F covariance, never formed from rows (models/windowed_gram.h). `shift` [frame_dim] is a
/// value near the frames' mean. At most `group_bytes` of the covariance are held at once, the rest in a
/// scratch file of `scratch_folder`; every group takes a scan. At least GramLayout::smallest_group_bytes().
std::unique_ptr<PcaFitter> covariance_fitter(std::int64_t window, std::vector<float> shift,
                                             std::int64_t group_bytes, const std::string& scratch_folder);
/// Approximate: keeps 2 k + 64 directions and a chunk of rows (Ross, Lim, Lin, Yang 2008). `k` bounds the k
/// of finish().
std::unique_ptr<PcaFitter> incremental_svd_fitter(std::int64_t dim, std::int64_t k);
/// What that fitter works on: for every chunk of rows, the singular directions of a stack of them and of
/// those kept.
struct IncrementalSvdSize {
  std::int64_t chunk_rows = 0;
  std::int64_t kept_rows = 0;
  std::int64_t stacked_rows = 0;
  std::int64_t bytes = 0;  ///< held at most
};
IncrementalSvdSize incremental_svd_size(std::int64_t dim, std::int64_t k);

/// PcaMethod::kAuto takes the covariance while its blocks, W (W + 1) / 2 of D x D float64, are at most this:
/// a scratch file that any laptop has room for. Beyond it, the incremental SVD needs a few rows of F values.
/// The data's shape alone decides, never the memory, so that the memory cannot change a result.
inline constexpr std::int64_t kMaxAutoCovarianceBytes = std::int64_t{2} << 30;

/// How a fit will go within some memory.
struct PcaPlan {
  PcaMethod method = PcaMethod::kCovariance;  ///< never kAuto
  core::ScanNeed need;                        ///< memory of the fit
  std::int64_t minimum_bytes = 0;             ///< the least memory that works
  std::int64_t n_scans = 1;
  std::int64_t group_bytes = 0;    ///< of the covariance held at once
  std::int64_t scratch_bytes = 0;  ///< on disk
};
/// What a fit may use.
struct PcaRoom {
  int threads = 1;
  std::int64_t free_bytes = 0;
  /// Scratch files lie in memory (tmpfs): the covariance is then never divided, as its scratch file would
  /// take the memory that the division is to save.
  bool scratch_in_memory = false;
};
/// For the room; for the minimum when that is more.
PcaPlan plan_pca(const data::SourceShape& rows, std::int64_t k, PcaMethod method, const PcaRoom& room);

/// Fits on all rows. 1 <= k <= min(F, N), N >= 2; throws Error (kData) otherwise, kMemory when the budget is
/// below the plan's minimum. The same bits for any thread count and budget.
PcaModel fit_pca(const data::FeatureSource& rows, std::int64_t k, core::Execution& execution,
                 const std::string& scratch_folder, PcaMethod method = PcaMethod::kAuto);

/// Memory of pca_scores.
core::ScanNeed pca_scores_need(const data::SourceShape& rows, std::int64_t k);

/// Scores of all rows, [N, k]: float64 products rounded to float32, one scan. `out` is released behind the
/// scan.
void pca_scores(const PcaModel& model, const data::FeatureSource& rows, store::MappedDataset& out,
                core::Execution& execution, const std::string& task);

/// Flips signs so that each component's largest absolute loading (the first of them on ties) is positive.
void fix_signs(std::vector<double>& components, std::int64_t k);

}  // namespace phase0::models
