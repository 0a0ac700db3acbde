#include "report/figures.h"

#include <cmath>

namespace phase0::report {

Value to_value(const std::optional<double>& figure) {
  if (!figure || !std::isfinite(*figure)) return std::monostate{};
  return *figure;
}

std::vector<Figure> split_figures(const SplitMetrics& metrics) {
  return {{"variance_ratio", to_value(metrics.variance_ratio)},
          {"variance_ratio_adjusted", to_value(metrics.variance_ratio_adjusted)},
          {"entropy_reduction", to_value(metrics.entropy_reduction)},
          {"entropy_reduction_nats", to_value(metrics.entropy_reduction_nats)},
          {"entropy_reduction_nats_per_dim", to_value(metrics.entropy_reduction_nats_per_dim)},
          {"entropy_unconditional", to_value(metrics.entropy_unconditional)},
          {"entropy_conditional", to_value(metrics.entropy_conditional)},
          {"n_samples", metrics.n_samples},
          {"n_samples_total", metrics.n_samples_total},
          {"excluded_mass", to_value(metrics.excluded_mass)},
          {"speaker_mean", to_value(metrics.speaker_mean)},
          {"speaker_std", to_value(metrics.speaker_std)},
          {"speaker_ci_lower", to_value(metrics.speaker_ci_lower)},
          {"speaker_ci_upper", to_value(metrics.speaker_ci_upper)},
          {"n_speakers", metrics.n_speakers},
          {"random_baseline_mean", to_value(metrics.random_baseline_mean)},
          {"random_baseline_std", to_value(metrics.random_baseline_std)},
          {"random_baseline_p_value", to_value(metrics.random_baseline_p_value)}};
}

std::vector<Figure> shared_figures(const CellMetrics& cell) {
  return {{"n_effective_clusters", cell.n_effective_clusters},
          {"cross_speaker_degradation", to_value(cell.cross_speaker_degradation)},
          {"random_baseline_variance_ratio", to_value(cell.train.random_baseline_mean)},
          {"random_baseline_eval_variance_ratio", to_value(cell.eval.random_baseline_mean)}};
}

std::vector<Figure> cluster_figures(const ClusterStats& stats) {
  return {{"n_clusters", stats.n_clusters},
          {"n_occupied", stats.n_occupied},
          {"n_effective", stats.n_effective},
          {"min_size", stats.min_size},
          {"median_size", to_value(stats.median_size)},
          {"max_size", stats.max_size}};
}

}  // namespace phase0::report
