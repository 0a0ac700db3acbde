#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "phase0/options.h"
#include "phase0/results.h"
#include "report/axis.h"
#include "report/panel.h"

/// The charts of report.html: HTML with inline SVG, or an empty string when there is nothing to draw.
namespace phase0::report {

/// Variance ratio by condition, lag and slice beside its random baseline.
std::string ratio_chart(const Options& options, const AnalysisResult& result);
/// Variance ratio inside each speaker.
std::string speaker_chart(const Options& options, const AnalysisResult& result);
/// Variance ratio over the rows closest to their centroid.
std::string confidence_chart(const Options& options, const AnalysisResult& result);
/// Clusters by size.
std::string size_chart(const Options& options, const AnalysisResult& result);
/// Variance inside each cluster against its size.
std::string spread_chart(const AnalysisResult& result);
/// Explained variance of the principal components.
std::string pca_chart(const AnalysisResult& result);

/// Marks drawn at most per series where there is one per cluster or speaker.
inline constexpr std::size_t kMaxMarks = 500;

/// Panels of one lag, and below, folded away, those of the other lags. Empty panels everywhere give an empty
/// string.
struct LagPanels {
  std::int64_t lag = 0;
  std::vector<std::string> panels;
};
std::string fold_lags(const std::vector<LagPanels>& lags, std::int64_t first);

/// The threshold and 1, which belong into every chart of ratios.
void add_reference_ratios(const Options& options, Extent& extent);
LegendItem threshold_legend(const Options& options);

/// One colour per split, the same in every chart: classes of the style sheet and names.
struct SplitLook {
  const char* name;
  const char* label;
  const char* fill;    ///< class of filled marks
  const char* stroke;  ///< class of lines
};
inline constexpr SplitLook kTrainLook = {"train", "train speakers", "c-train", "l-train"};
inline constexpr SplitLook kEvalLook = {"eval", "eval speakers (never seen in training)", "c-eval", "l-eval"};

}  // namespace phase0::report
