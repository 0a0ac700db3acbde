#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "phase0/options.h"

/// What `analyze` computes, as values. A figure that is undefined (an empty slice, a division by zero) is
/// nullopt.
namespace phase0 {

/// Metrics of one condition, lag and slice on one split. Formulas: README.md, "What the numbers mean".
struct SplitMetrics {
  std::int64_t n_samples = 0;            ///< rows of the slice inside effective clusters
  std::int64_t n_samples_total = 0;      ///< rows of the slice
  std::optional<double> excluded_mass;   ///< share of the slice's rows outside effective clusters
  std::optional<double> variance_ratio;  ///< SSE_within / SSE_total
  std::optional<double>
      variance_ratio_adjusted;  ///< the same per degree of freedom; 1 on average for random ids
  std::optional<double> entropy_unconditional;   ///< nats
  std::optional<double> entropy_conditional;     ///< nats
  std::optional<double> entropy_reduction;       ///< (H - Hc) / H
  std::optional<double> entropy_reduction_nats;  ///< H - Hc
  std::optional<double> entropy_reduction_nats_per_dim;
  std::int64_t n_speakers = 0;  ///< speakers with enough rows (>= 50 included)
  std::optional<double> speaker_mean;
  std::optional<double> speaker_std;  ///< ddof 0
  std::optional<double> speaker_ci_lower;
  std::optional<double> speaker_ci_upper;
  std::optional<double> random_baseline_mean;
  std::optional<double> random_baseline_std;  ///< ddof 0
  std::optional<double> random_baseline_p_value;
};

/// Sizes of a condition's clusters in train.
struct ClusterStats {
  std::int64_t n_clusters = 0;   ///< possible ids
  std::int64_t n_occupied = 0;   ///< with at least one train row
  std::int64_t n_effective = 0;  ///< with at least min_cluster_size train rows
  std::int64_t min_size = 0;     ///< over the occupied ones
  double median_size = 0;
  std::int64_t max_size = 0;
};

/// One row of tables.csv.
struct CellMetrics {
  std::string condition;
  ConditionType type = ConditionType::kMeanPoolVq;
  std::int64_t lag = 0;
  std::string slice;
  std::int64_t n_effective_clusters = 0;
  SplitMetrics train;
  SplitMetrics eval;
  std::optional<double> cross_speaker_degradation;
  ClusterStats cluster_stats;
};

/// One row of speakers.csv: the variance ratio inside one speaker.
struct SpeakerMetrics {
  std::string condition;
  std::int64_t lag = 0;
  std::string slice;
  std::string split;
  std::string speaker;
  std::int64_t n_samples = 0;
  std::optional<double> variance_ratio;
};

/// One row of clusters.csv: a cluster with at least one row, in the slice of all rows.
struct ClusterMetrics {
  std::string condition;
  std::int64_t lag = 0;
  std::int64_t cluster = 0;
  bool effective = false;
  std::int64_t train_count = 0;
  std::int64_t eval_count = 0;
  std::optional<double>
      train_variance;  ///< mean over dimensions of the cluster's variance (ddof 0); effective only
  std::optional<double> eval_variance;
};

/// One row of confidence.csv: the variance ratio over the rows closest to their centroid.
struct ConfidencePoint {
  std::string condition;
  std::int64_t lag = 0;
  std::string slice;
  std::string split;
  int percent = 0;  ///< 10, 20, .. 100
  std::int64_t n_samples = 0;
  std::optional<double> max_distance;
  std::optional<double> variance_ratio;
};

/// One row of pca.csv.
struct PcaComponent {
  std::string condition;
  std::int64_t lag = 0;
  std::int64_t component = 0;
  double explained_variance = 0;
  double explained_variance_ratio = 0;
  double cumulative_ratio = 0;
};

/// One row of kmeans.csv: one iteration of one restart.
struct KMeansIteration {
  std::string condition;
  std::int64_t lag = 0;
  std::string phase;  ///< `restart` or `refine`
  std::int64_t restart = 0;
  std::int64_t iteration = 0;  ///< from 1
  std::int64_t n_rows = 0;
  /// Sum of squared distances before this iteration's update, from the sums of the clusters: within about
  /// 1e-7 of the sum of squares of all rows.
  double inertia = 0;
  double shift = 0;  ///< summed squared centroid shift of the update
  std::int64_t n_reseeded = 0;
  std::string stopped;  ///< empty, or why this was the last one: `tol`, `no_change`, `max_iter`,
                        ///< `behind` (another restart did better on all rows)
  bool best = false;    ///< the restart that won
};

/// Why a condition does or does not pass.
struct ConditionDecision {
  std::string condition;
  bool pass = false;
  std::vector<std::string> reasons;  ///< one per broken requirement; empty when it passes
};

struct Decision {
  bool pass = false;  ///< any condition passes
  std::vector<ConditionDecision> conditions;
};

/// Everything that `analyze` reports, in the order of the configuration: condition, then lag, then slice.
struct AnalysisResult {
  std::vector<CellMetrics> cells;
  std::vector<SpeakerMetrics> speakers;
  std::vector<ClusterMetrics> clusters;
  std::vector<ConfidencePoint> confidence;
  std::vector<PcaComponent> pca;
  std::vector<KMeansIteration> kmeans;
  Decision decision;
};

}  // namespace phase0
