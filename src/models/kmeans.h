#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/execution.h"
#include "data/feature_source.h"
#include "phase0/options.h"
#include "phase0/results.h"

namespace phase0::models {

/// Why a run made no further iteration; kBehind: other runs did better; kRefined: on the sample, it goes on
/// on all rows.
enum class KMeansStop { kTol, kNoChange, kMaxIter, kBehind, kRefined };
const char* to_string(KMeansStop stop);

struct KMeansModel {
  std::int64_t k = 0;
  std::int64_t d = 0;
  std::vector<float> centroids;          ///< [K, d]
  std::vector<std::int64_t> counts;      ///< [K], rows of the fit nearest to each centroid
  double inertia = 0;                    ///< sum of squared distances of the fitted rows, float64
  std::int64_t n_iter = 0;               ///< iterations of the run that gave the centroids
  std::int64_t n_used = 0;               ///< rows fitted on
  std::int64_t sample_rows = 0;          ///< rows that the restarts ran on, when fewer than n_used; else 0
  std::vector<KMeansIteration> history;  ///< condition and lag are left for the caller
};

struct KMeansTask {
  std::int64_t k = 0;
  KMeansOptions options;
  std::uint64_t seed = 0;
  std::string scratch_folder;  ///< for per-row distances and the sample
  std::string label;           ///< for the observer
  core::UnitId progress{};     ///< under which the runs are kept now and then
};

/// Lloyd's k-means on all rows of a matrix source (window 1): greedy k-means++ seeding (Arthur, Vassilvitskii
/// 2007, with 2 + floor(ln k) local trials), `n_init` restarts in lockstep over shared scans, best inertia
/// wins, stop when the summed squared centroid shift <= tol x mean column variance or no centroid changes. An
/// empty cluster is re-seeded with the row farthest from its centroid. Centroid sums are fixed-point integers
/// and labels are certified, so the same bits come out for any thread count, budget and kernel set that gives
/// the same seeding distances.
///
/// With restarts on a sample (RestartsOn::kSample, or kAuto when there are more than 2 x sample_size rows),
/// the restarts see a seeded sample for kSampleIterations iterations. The best three go on on all rows for
/// kRaceIterations, and the one with the least objective then to the same rule. Throws Error (kData) when
/// there are fewer rows than clusters.
KMeansModel fit_kmeans(const data::FeatureSource& rows, const KMeansTask& task, core::Execution& execution);

/// One of several fits of the same samples, alike in all but rows, seed and names.
struct KMeansFit {
  const data::FeatureSource& rows;
  KMeansTask task;
};
/// Fits by their numbers.
using KMeansFits = std::span<const std::int64_t>;
/// How rows of several fits are joined.
struct KMeansJoin {
  /// shapes[i] bounds that of any i + 1 fits; no more than one go together where there is no other.
  std::vector<data::SourceShape> shapes;
  std::function<std::unique_ptr<data::FeatureSource>(KMeansFits)> rows;  ///< as lanes of one source
  std::function<std::string(KMeansFits)> label;                          ///< for the observer
};
/// Every fit has the model that it has alone, but its runs over all rows share their scans with those of as
/// many other fits as the budget allows. `fitted(number, model)` is called for each as it ends; then what was
/// kept of its way is dropped.
void fit_kmeans(std::span<const KMeansFit> fits, const KMeansJoin& join, core::Execution& execution,
                const std::function<void(std::int64_t number, KMeansModel model)>& fitted);

/// Rows of the sample for k clusters: max(16384, 128 k).
std::int64_t kmeans_sample_size(std::int64_t k);

/// Iterations of the restarts on a sample, if they do not end before: the three that are best then are as
/// good as the three that are best in the end (bench/README.md).
inline constexpr std::int64_t kSampleIterations = 45;
/// Iterations on all rows after which the runs of a sample that are behind are given up: after 20 the order
/// is that of the end (bench/README.md), after 10 it often is not.
inline constexpr std::int64_t kRaceIterations = 20;

/// How a fit goes over its rows; the data's shape and the options alone decide.
struct KMeansScheme {
  std::int64_t restart_rows = 0;  ///< rows that restarts see
  bool sampled = false;           ///< those are a sample
  bool gathered = false;          ///< those are copied first: to memory, or a scratch file
  std::int64_t refined_runs = 0;  ///< runs on a sample that are continued on all rows
};
KMeansScheme kmeans_scheme(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options);
/// Memory for the kept runs of all but one of several fits that go together; that of one is in its needs.
std::int64_t kmeans_lanes_bytes(std::int64_t fits, std::int64_t k, std::int64_t d);
/// Disk for the scratch files of so many fits that go together, at most.
std::int64_t kmeans_scratch_bytes(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options,
                                  std::int64_t fits);

/// Least memory of a fit (one run at a time, one worker), and how fits go together within `free_bytes`.
struct KMeansPlan {
  KMeansScheme scheme;
  std::int64_t minimum_bytes = 0;
  std::int64_t planned_bytes = 0;
  std::int64_t restarts_together = 1;  ///< that share scans; each group of so many takes its own
  std::int64_t refined_together = 1;   ///< the same of a fit's runs continued on all rows
  std::int64_t fits_together = 1;      ///< whose runs share the scans of all rows
  bool restarts_share_scans = false;   ///< those of fits that go together do, being on all rows
  /// Copies in memory, where scans are as wide beside them: of the rows that restarts see, and of all rows
  /// for runs that are continued on them.
  bool restart_rows_kept = false;
  bool rows_kept = false;

  /// Whether every later scan finds the rows in memory.
  bool reads_rows_once() const { return rows_kept || (restart_rows_kept && !scheme.sampled); }
};
/// `lanes` as KMeansJoin::shapes.
KMeansPlan plan_kmeans(const std::vector<data::SourceShape>& lanes, std::int64_t k,
                       const KMeansOptions& options, int threads, std::int64_t free_bytes);

}  // namespace phase0::models
