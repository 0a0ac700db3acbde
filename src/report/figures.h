#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "phase0/results.h"

/// The figures of a cell by name: the one list from which tables.csv, metrics.csv and metrics.json are
/// written.
namespace phase0::report {

/// One field of a table. Undefined figures are std::monostate; so is, when written, a double that is not
/// finite.
using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

Value to_value(const std::optional<double>& figure);

struct Figure {
  std::string name;
  Value value;
};

/// Every figure of one split, named as in metrics.json.
std::vector<Figure> split_figures(const SplitMetrics& metrics);
/// What train and eval share, cluster sizes apart.
std::vector<Figure> shared_figures(const CellMetrics& cell);
std::vector<Figure> cluster_figures(const ClusterStats& stats);

}  // namespace phase0::report
