#include "analysis/metrics.h"

#include "analysis/student.h"

namespace phase0::analysis {
namespace {

/// Mean, spread and p-value of the permutations. Empty without any, or when one of them has no defined ratio.
void set_baseline(const CellSums& sums, std::size_t slice, SplitMetrics& metrics) {
  std::vector<double> ratios;
  for (const auto& permutation : sums.permuted) {
    if (permutation.empty()) return;
    const auto ratio = permutation[slice].variance_ratio();
    if (!ratio) return;
    ratios.push_back(*ratio);
  }
  if (ratios.empty()) return;
  const SampleSummary summary = summarise(ratios);
  metrics.random_baseline_mean = summary.mean;
  metrics.random_baseline_std = summary.std;
  if (!metrics.variance_ratio) return;
  std::int64_t as_low = 1;
  for (const double ratio : ratios) as_low += static_cast<std::int64_t>(ratio <= *metrics.variance_ratio);
  metrics.random_baseline_p_value = static_cast<double>(as_low) / static_cast<double>(1 + ratios.size());
}

void set_entropies(const EntropySums& entropy, std::int64_t dim, SplitMetrics& metrics) {
  if (metrics.n_samples == 0) return;
  metrics.entropy_unconditional = entropy.unconditional;
  if (entropy.n_rows == 0) return;
  const double conditional = entropy.weighted / static_cast<double>(entropy.n_rows);
  const double reduction = entropy.unconditional - conditional;
  metrics.entropy_conditional = conditional;
  metrics.entropy_reduction_nats = reduction;
  metrics.entropy_reduction_nats_per_dim = reduction / static_cast<double>(dim);
  if (entropy.unconditional != 0) metrics.entropy_reduction = reduction / entropy.unconditional;
}

void set_speakers(const CellSums& sums, std::size_t n_slices, std::size_t slice, SplitMetrics& metrics) {
  std::vector<double> ratios;
  for (std::size_t i = slice; i < sums.speakers.size(); i += n_slices) {
    if (sums.speakers[i].n_rows < kMinSpeakerRows) continue;
    if (const auto ratio = sums.speakers[i].variance_ratio()) ratios.push_back(*ratio);
  }
  const SampleSummary summary = summarise(ratios);
  metrics.n_speakers = static_cast<std::int64_t>(ratios.size());
  metrics.speaker_mean = summary.mean;
  metrics.speaker_std = summary.std;
  metrics.speaker_ci_lower = summary.ci_lower;
  metrics.speaker_ci_upper = summary.ci_upper;
}

std::vector<std::optional<double>> cluster_variances(const CellSums& sums,
                                                     const std::vector<std::int64_t>& counts,
                                                     std::size_t dim) {
  std::vector<std::optional<double>> variances(counts.size());
  for (std::size_t k = 0; k < sums.cluster_variance.size(); ++k) {
    if (counts[k] > 0) variances[k] = sums.cluster_variance[k] / static_cast<double>(dim);
  }
  return variances;
}

}  // namespace

SplitMetrics split_metrics(const SplitWork& work, const CellSums& sums, std::size_t slice,
                           std::int64_t n_total) {
  const GroupSums& observed = sums.observed[slice];
  SplitMetrics metrics;
  metrics.n_samples = observed.n_rows;
  metrics.n_samples_total = n_total;
  if (n_total > 0) {
    metrics.excluded_mass = static_cast<double>(n_total - observed.n_rows) / static_cast<double>(n_total);
  }
  metrics.variance_ratio = observed.variance_ratio();
  metrics.variance_ratio_adjusted = observed.adjusted_variance_ratio();
  set_entropies(sums.entropy[slice], static_cast<std::int64_t>(work.input.sigma.size()), metrics);
  set_speakers(sums, work.slices.size(), slice, metrics);
  set_baseline(sums, slice, metrics);
  return metrics;
}

std::optional<double> cross_speaker_degradation(const SplitMetrics& train, const SplitMetrics& eval) {
  if (!train.variance_ratio || !eval.variance_ratio || !(*train.variance_ratio > 0)) return std::nullopt;
  return (*eval.variance_ratio - *train.variance_ratio) / *train.variance_ratio;
}

void append_speakers(const SplitWork& work, const CellSums& sums, std::size_t cell, std::size_t slice,
                     std::vector<SpeakerMetrics>& out) {
  const CellInput& input = work.input.cells[cell];
  const auto& speakers = work.order.slot_speakers();
  for (std::size_t slot = 0; slot < speakers.size(); ++slot) {
    const GroupSums& group = sums.speakers[slot * work.slices.size() + slice];
    if (group.n_rows < kMinSpeakerRows) continue;
    const auto speaker = static_cast<std::size_t>(speakers[slot]);
    out.push_back({input.condition.name, input.lag, work.slices[slice].name, work.name,
                   work.input.speaker_names[speaker], group.n_rows, group.variance_ratio()});
  }
}

void append_confidence(const SplitWork& work, const CellSums& sums, std::size_t cell, std::size_t slice,
                       std::vector<ConfidencePoint>& out) {
  const CellInput& input = work.input.cells[cell];
  const ConfidenceCuts& cuts = work.cuts[cell * work.slices.size() + slice];
  for (std::size_t i = 0; i < cuts.counts.size(); ++i) {
    ConfidencePoint point;
    point.condition = input.condition.name;
    point.lag = input.lag;
    point.slice = work.slices[slice].name;
    point.split = work.name;
    point.percent = static_cast<int>(i + 1) * static_cast<int>(100 / kCurvePoints);
    point.n_samples = cuts.counts[i];
    if (cuts.n_rows > 0) {
      PHASE0_CHECK(sums.curve[slice][i].n_rows == cuts.counts[i]);
      point.max_distance = static_cast<double>(cuts.max_distance(i));
      point.variance_ratio = sums.curve[slice][i].variance_ratio();
    }
    out.push_back(std::move(point));
  }
}

void append_clusters(const SplitWork& work, const CellSums& train, const CellSums& eval, std::size_t cell,
                     std::vector<ClusterMetrics>& out) {
  const CellInput& input = work.input.cells[cell];
  const ClusterTable& table = work.tables[cell];
  const std::size_t dim = work.input.sigma.size();
  const auto train_variances = cluster_variances(train, table.effective_counts(data::Split::kTrain), dim);
  const auto eval_variances = cluster_variances(eval, table.effective_counts(data::Split::kEval), dim);
  for (const ClusterCount& count : table.occupied()) {
    ClusterMetrics metrics;
    metrics.condition = input.condition.name;
    metrics.lag = input.lag;
    metrics.cluster = count.id;
    metrics.effective = count.effective >= 0;
    metrics.train_count = count.train;
    metrics.eval_count = count.eval;
    if (metrics.effective) {
      metrics.train_variance = train_variances[static_cast<std::size_t>(count.effective)];
      metrics.eval_variance = eval_variances[static_cast<std::size_t>(count.effective)];
    }
    out.push_back(std::move(metrics));
  }
}

}  // namespace phase0::analysis
