#include "report/sample.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace phase0::report {
namespace {

using core::Random;

double level(std::size_t condition, std::int64_t lag, std::size_t slice) {
  const double base[] = {0.953, 0.921, 0.938};
  return base[condition % 3] + 0.008 * std::log2(static_cast<double>(lag)) -
         0.012 * static_cast<double>(slice);
}

SplitMetrics split_of(double ratio, std::int64_t rows, std::int64_t speakers, bool quartile, Random& random) {
  SplitMetrics m;
  m.excluded_mass = quartile ? 0.31 + 0.01 * random.uniform() : 0.002 * random.uniform();
  m.n_samples_total = rows;
  m.n_samples = static_cast<std::int64_t>(static_cast<double>(rows) * (1 - *m.excluded_mass));
  m.variance_ratio = ratio;
  m.variance_ratio_adjusted = ratio * 1.0007;
  m.entropy_unconditional = -0.83 + 0.01 * random.uniform();
  m.entropy_reduction_nats = 12.0 * (1 - ratio) * (1 + 0.1 * random.uniform());
  m.entropy_conditional = *m.entropy_unconditional - *m.entropy_reduction_nats;
  m.entropy_reduction = *m.entropy_reduction_nats / *m.entropy_unconditional;
  m.entropy_reduction_nats_per_dim = *m.entropy_reduction_nats / 32;
  m.n_speakers = speakers;
  m.speaker_mean = ratio - 0.006;
  m.speaker_std = 0.018;
  const double half = 1.97 * 0.018 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, speakers)));
  m.speaker_ci_lower = *m.speaker_mean - half;
  m.speaker_ci_upper = *m.speaker_mean + half;
  m.random_baseline_mean = (quartile ? 0.9871 : 0.9993) + 2e-4 * random.uniform();
  m.random_baseline_std = 1.3e-4;
  m.random_baseline_p_value = 1.0 / 21;
  return m;
}

void add_cells(Sample& s, Random& random) {
  for (std::size_t c = 0; c < s.options.clustering.conditions.size(); ++c) {
    const ConditionOptions& condition = s.options.clustering.conditions[c];
    const bool quartile = condition.type == ConditionType::kPcaQuartile;
    for (const std::int64_t lag : s.options.context.lags) {
      for (std::size_t slice = 0; slice < s.options.slices.size(); ++slice) {
        const double share[] = {1.0, 0.5, 0.66};
        CellMetrics cell;
        cell.condition = condition.name;
        cell.type = condition.type;
        cell.lag = lag;
        cell.slice = s.options.slices[slice].name;
        const double ratio = level(c, lag, slice);
        const auto rows = [&](std::int64_t n) {
          return static_cast<std::int64_t>(static_cast<double>(n) * share[slice % 3]);
        };
        cell.train = split_of(ratio, rows(s.facts.n_rows_train), s.facts.n_speakers_train, quartile, random);
        cell.eval = split_of(ratio + 0.004 + 0.012 * random.uniform(), rows(s.facts.n_rows_eval),
                             s.facts.n_speakers_eval, quartile, random);
        cell.cross_speaker_degradation = (*cell.eval.variance_ratio - ratio) / ratio;
        const std::int64_t n = quartile ? 65536 : condition.k;
        cell.n_effective_clusters = quartile ? 1370 : n - 2;
        cell.cluster_stats = {n, quartile ? 41022 : n,    cell.n_effective_clusters,
                              1, quartile ? 9.0 : 6123.5, 39120};
        s.result.cells.push_back(cell);
      }
    }
  }
}

void add_clusters(Sample& s, Random& random) {
  for (const ConditionOptions& condition : s.options.clustering.conditions) {
    const bool quartile = condition.type == ConditionType::kPcaQuartile;
    const std::int64_t n = quartile ? 6000 : condition.k;
    for (const std::int64_t lag : s.options.context.lags) {
      for (std::int64_t id = 0; id < n; ++id) {
        ClusterMetrics cluster;
        cluster.condition = condition.name;
        cluster.lag = lag;
        cluster.cluster = id;
        const double size = quartile ? 40000.0 / std::pow(1.0 + static_cast<double>(id), 0.95)
                                     : 800000.0 / static_cast<double>(n) * std::exp(0.8 * random.normal());
        cluster.train_count = std::max<std::int64_t>(1, static_cast<std::int64_t>(size));
        cluster.eval_count = cluster.train_count / 4;
        cluster.effective = cluster.train_count >= s.options.clustering.min_cluster_size;
        if (cluster.effective) {
          cluster.train_variance = 0.93 * std::exp(0.35 * random.normal());
          cluster.eval_variance = *cluster.train_variance * std::exp(0.08 * random.normal());
        }
        s.result.clusters.push_back(cluster);
      }
    }
  }
}

void add_speakers(Sample& s, Random& random) {
  for (const CellMetrics& cell : s.result.cells) {
    const auto add = [&](const char* split, std::int64_t n, std::int64_t first, double ratio) {
      for (std::int64_t i = 0; i < n; ++i) {
        s.result.speakers.push_back(
            {cell.condition, cell.lag, cell.slice, split, "p" + std::to_string(first + i),
             900 + static_cast<std::int64_t>(random.below(9000)), ratio + 0.018 * random.normal()});
      }
    };
    add("train", s.facts.n_speakers_train, 225, *cell.train.speaker_mean);
    add("eval", s.facts.n_speakers_eval, 600, *cell.eval.speaker_mean);
  }
}

void add_confidence(Sample& s) {
  for (const CellMetrics& cell : s.result.cells) {
    for (const char* split : {"train", "eval"}) {
      const SplitMetrics& m = split == std::string("train") ? cell.train : cell.eval;
      for (int percent = 10; percent <= 100; percent += 10) {
        const double share = percent / 100.0;
        const bool quartile = cell.type == ConditionType::kPcaQuartile;
        s.result.confidence.push_back({cell.condition, cell.lag, cell.slice, split, percent,
                                       static_cast<std::int64_t>(static_cast<double>(m.n_samples) * share),
                                       quartile ? 0.0 : 2.0 + 3.0 * share,
                                       *m.variance_ratio - 0.11 * (1 - std::sqrt(share))});
      }
    }
  }
}

void add_fits(Sample& s, Random& random) {
  for (const ConditionOptions& condition : s.options.clustering.conditions) {
    for (const std::int64_t lag : s.options.context.lags) {
      double sum = 0;
      for (std::int64_t i = 0; i < condition.pca_dim; ++i) {
        const double share = 0.161 * std::pow(0.72, static_cast<double>(i));
        sum += share;
        s.result.pca.push_back({condition.name, lag, i, 512 * share, share, sum});
      }
      if (condition.k == 0) continue;
      for (std::int64_t restart = 0; restart < s.options.clustering.kmeans.n_init; ++restart) {
        for (std::int64_t i = 1; i <= 12; ++i) {
          s.result.kmeans.push_back({condition.name, lag, "restart", restart, i, 803211,
                                     2.1e7 * (1 + 1.0 / static_cast<double>(i)) + random.uniform(),
                                     31.0 / static_cast<double>(i * i), 0, i == 12 ? "tol" : "",
                                     restart == 3});
        }
      }
    }
  }
}

void add_decision(Sample& s) {
  for (const ConditionOptions& condition : s.options.clustering.conditions) {
    s.result.decision.conditions.push_back({condition.name,
                                            false,
                                            {"train variance ratio 0.953 is above the threshold 0.6",
                                             "eval variance ratio 0.966 is above the threshold 0.6",
                                             "slice high_energy: train variance ratio 0.941 is above 0.65"}});
  }
}

}  // namespace

Sample make_sample(std::int64_t n_train_speakers, std::int64_t n_eval_speakers) {
  Sample s;
  s.options.data.latents = "data/demo/latents.h5";
  s.options.clustering.conditions = {{"mean_vq64", ConditionType::kMeanPoolVq, 64, 0},
                                     {"pca8_vq256", ConditionType::kPcaVq, 256, 8},
                                     {"pca8_quartile", ConditionType::kPcaQuartile, 0, 8}};
  s.options.slices = {{"all", SliceFilterKind::kAll, 0.0, 1.0},
                      {"high_energy", SliceFilterKind::kEnergyAboveMedian, 0.0, 1.0},
                      {"utterance_medial", SliceFilterKind::kPosFrac, 0.17, 0.83}};
  s.facts = {"0.1.0",          "data/demo/latents.h5", 12.5,   32,     9120,   2310,
             n_train_speakers, n_eval_speakers,        803211, 201477, "dense"};
  Random random(7);
  add_cells(s, random);
  add_clusters(s, random);
  add_speakers(s, random);
  add_confidence(s);
  add_fits(s, random);
  add_decision(s);
  return s;
}

}  // namespace phase0::report
