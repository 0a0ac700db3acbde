#include "report/tables.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "report/csv.h"

namespace phase0::report {
namespace {

/// The columns whose names and order are fixed (README.md, "The run directory").
std::vector<Figure> fixed_columns(const CellMetrics& cell) {
  const SplitMetrics& train = cell.train;
  const SplitMetrics& eval = cell.eval;
  return {{"condition", cell.condition},
          {"lag", cell.lag},
          {"slice", cell.slice},
          {"train_variance_ratio", to_value(train.variance_ratio)},
          {"eval_variance_ratio", to_value(eval.variance_ratio)},
          {"train_entropy_reduction", to_value(train.entropy_reduction)},
          {"eval_entropy_reduction", to_value(eval.entropy_reduction)},
          {"cross_speaker_degradation", to_value(cell.cross_speaker_degradation)},
          {"random_baseline", to_value(train.random_baseline_mean)},
          {"random_baseline_eval", to_value(eval.random_baseline_mean)},
          {"n_effective_clusters", cell.n_effective_clusters},
          {"train_n_samples", train.n_samples},
          {"eval_n_samples", eval.n_samples},
          {"train_excluded_mass", to_value(train.excluded_mass)},
          {"eval_excluded_mass", to_value(eval.excluded_mass)},
          {"train_speaker_ci_lower", to_value(train.speaker_ci_lower)},
          {"train_speaker_ci_upper", to_value(train.speaker_ci_upper)}};
}

/// All columns: the fixed ones, then every figure that they leave out.
std::vector<Figure> columns_of(const CellMetrics& cell) {
  // In the fixed columns under a name of their own.
  constexpr std::array<std::string_view, 2> kRenamed = {"train_random_baseline_mean",
                                                        "eval_random_baseline_mean"};
  std::vector<Figure> columns = fixed_columns(cell);
  columns.push_back({"type", std::string(to_string(cell.type))});
  const auto add_missing = [&](const std::string& prefix, std::vector<Figure> figures) {
    for (Figure& figure : figures) {
      figure.name = prefix + figure.name;
      const bool there =
          std::find(kRenamed.begin(), kRenamed.end(), figure.name) != kRenamed.end() ||
          std::any_of(columns.begin(), columns.end(), [&](const Figure& c) { return c.name == figure.name; });
      if (!there) columns.push_back(std::move(figure));
    }
  };
  add_missing("train_", split_figures(cell.train));
  add_missing("eval_", split_figures(cell.eval));
  add_missing("cluster_", cluster_figures(cell.cluster_stats));
  return columns;
}

}  // namespace

std::string tables_csv(const std::vector<CellMetrics>& cells) {
  std::vector<std::string> names;
  for (const Figure& column : columns_of(CellMetrics{})) names.push_back(column.name);
  CsvTable table(names);
  for (const CellMetrics& cell : cells) {
    std::vector<Value> fields;
    for (Figure& column : columns_of(cell)) fields.push_back(std::move(column.value));
    table.row(fields);
  }
  return table.text();
}

std::string metrics_csv(const std::vector<CellMetrics>& cells) {
  CsvTable table({"condition", "type", "lag", "slice", "split", "metric", "value"});
  for (const CellMetrics& cell : cells) {
    const auto add = [&](const std::string& split, const std::vector<Figure>& figures) {
      for (const Figure& figure : figures) {
        table.row({cell.condition, std::string(to_string(cell.type)), cell.lag, cell.slice, split,
                   figure.name, figure.value});
      }
    };
    add("train", split_figures(cell.train));
    add("eval", split_figures(cell.eval));
    add("", shared_figures(cell));
    add("", cluster_figures(cell.cluster_stats));
  }
  return table.text();
}

std::string speakers_csv(const std::vector<SpeakerMetrics>& speakers) {
  CsvTable table({"condition", "lag", "slice", "split", "speaker", "n_samples", "variance_ratio"});
  for (const SpeakerMetrics& s : speakers) {
    table.row({s.condition, s.lag, s.slice, s.split, s.speaker, s.n_samples, to_value(s.variance_ratio)});
  }
  return table.text();
}

std::string clusters_csv(const std::vector<ClusterMetrics>& clusters) {
  CsvTable table({"condition", "lag", "cluster", "effective", "train_count", "eval_count", "train_variance",
                  "eval_variance"});
  for (const ClusterMetrics& c : clusters) {
    table.row({c.condition, c.lag, c.cluster, c.effective, c.train_count, c.eval_count,
               to_value(c.train_variance), to_value(c.eval_variance)});
  }
  return table.text();
}

std::string confidence_csv(const std::vector<ConfidencePoint>& points) {
  CsvTable table(
      {"condition", "lag", "slice", "split", "percent", "n_samples", "max_distance", "variance_ratio"});
  for (const ConfidencePoint& p : points) {
    table.row({p.condition, p.lag, p.slice, p.split, std::int64_t{p.percent}, p.n_samples,
               to_value(p.max_distance), to_value(p.variance_ratio)});
  }
  return table.text();
}

std::string pca_csv(const std::vector<PcaComponent>& components) {
  CsvTable table({"condition", "lag", "component", "explained_variance", "explained_variance_ratio",
                  "cumulative_ratio"});
  for (const PcaComponent& c : components) {
    table.row({c.condition, c.lag, c.component, c.explained_variance, c.explained_variance_ratio,
               c.cumulative_ratio});
  }
  return table.text();
}

std::string kmeans_csv(const std::vector<KMeansIteration>& iterations) {
  CsvTable table({"condition", "lag", "phase", "restart", "iteration", "n_rows", "inertia", "shift",
                  "n_reseeded", "stopped", "best"});
  for (const KMeansIteration& i : iterations) {
    table.row({i.condition, i.lag, i.phase, i.restart, i.iteration, i.n_rows, i.inertia, i.shift,
               i.n_reseeded, i.stopped, i.best});
  }
  return table.text();
}

}  // namespace phase0::report
