#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "core/unit_store.h"
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
  /// The sums so far, for a fitter of the same task and plan to go on from; load() throws Error (kStorage)
  /// for another's, and leaves this of no use. Only while can_save(): later scans may build on scratch files.
  virtual bool can_save() const { return true; }
  virtual void save(core::ByteSink& sink) const = 0;
  virtual void load(core::ByteSource& source) = 0;
  /// After the last row of a scan; of at least two rows.
  virtual void end_scan(core::ThreadPool& pool) = 0;
  /// A model for each of the task's windows. Call once, after the last scan. Throws Error (kInterrupted) when
  /// asked to stop.
  virtual std::vector<PcaModel> finish(std::int64_t k, core::Execution& execution) = 0;
};

/// What to fit: contexts of `window` frames that begin at frame `starts[i]` of a source's rows, which may be
/// longer. So the contexts of several lags, which share nearly all frames, are fitted together.
struct PcaTask {
  std::int64_t k = 0;  ///< components
  std::int64_t window = 1;
  std::vector<std::int64_t> starts = {0};
  PcaMethod method = PcaMethod::kAuto;
  std::string scratch_folder;
  core::UnitId progress{};  ///< under which the sums are kept now and then

  /// The frames from the first window's first to the last one's last.
  std::int64_t span() const { return window + *std::max_element(starts.begin(), starts.end()); }
};

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
  int spectral_bands = 0;          ///< in a scan; 0: frames are multiplied one difference after the other
  std::int64_t scratch_bytes = 0;  ///< on disk
};

/// The exact F x F covariance, never formed from rows (models/windowed_gram.h). `shift` [frame_dim] is a
/// value near the frames' mean. What is not held at once by the plan lies in a scratch file.
std::unique_ptr<PcaFitter> covariance_fitter(const PcaTask& task, std::vector<float> shift,
                                             const PcaPlan& plan);

/// What a fit may use.
struct PcaRoom {
  int threads = 1;
  std::int64_t free_bytes = 0;
  /// Scratch files lie in memory (tmpfs): the covariance is then never divided, as its scratch file would
  /// take the memory that the division is to save.
  bool scratch_in_memory = false;
};
/// For the room; for the minimum when that is more. Rows of the task's span.
PcaPlan plan_pca(const data::SourceShape& rows, const PcaTask& task, const PcaRoom& room);
/// What PcaMethod::kAuto stands for.
PcaMethod resolve_pca_method(PcaMethod method, std::int64_t window, std::int64_t frame_dim);

/// Fits on all rows, of the task's span; a model for each start. 1 <= k <= min(F, N), N >= 2; throws Error
/// (kData) otherwise, kMemory when the budget is below the plan's minimum. The same bits for any thread count
/// and budget. The incremental SVD takes whole rows only.
std::vector<PcaModel> fit_pca(const data::FeatureSource& rows, const PcaTask& task,
                              core::Execution& execution);

/// Memory of pca_scores with so many components of all models together.
core::ScanNeed pca_scores_need(const data::SourceShape& rows, std::int64_t window, std::int64_t components);

/// A model of contexts that begin at frame `start` of the rows, and where their scores go, [N, k].
struct PcaScores {
  const PcaModel* model = nullptr;
  std::int64_t start = 0;
  store::MappedDataset out;
};

/// Scores of all rows under each model: float64 products rounded to float32, one scan. Models of the same
/// `window` and number of components. The outputs are released behind the scan.
void pca_scores(std::vector<PcaScores>& scores, std::int64_t window, const data::FeatureSource& rows,
                core::Execution& execution, const std::string& task);

/// Flips signs so that each component's largest absolute loading (the first of them on ties) is positive.
void fix_signs(std::vector<double>& components, std::int64_t k);

}  // namespace phase0::models
