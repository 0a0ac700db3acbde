#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/options.h"
#include "phase0/results.h"
#include "report/write.h"

/// What the reports say in words, shared by report.txt and report.html.
namespace phase0::report {

/// The lag the decision looks at: 1, or the smallest there is.
std::int64_t decision_lag(const AnalysisResult& result);
/// The slice the decision looks at: the one without a filter, mostly called `all`.
std::string decision_slice(const Options& options);

/// The largest variance ratio that passes: in the decision's slice the threshold, in others a little more.
double slice_threshold(const Options& options, const std::string& slice);

/// Conditions and lags in the order in which the cells have them, each once.
std::vector<std::string> condition_names(const AnalysisResult& result);
std::vector<std::int64_t> lags_of(const AnalysisResult& result);
std::vector<std::string> slice_names(const AnalysisResult& result);

/// The cell of a condition in the decision's slice and lag; null when there is none.
const CellMetrics* decision_cell(const Options& options, const AnalysisResult& result,
                                 const std::string& condition);
/// The decision cell with the lowest eval variance ratio, among those that pass if any does; null when none
/// has one.
const CellMetrics* best_cell(const Options& options, const AnalysisResult& result);

/// `No condition meets every requirement.` and the like: one sentence.
std::string verdict(const Decision& decision);
/// What the best condition achieved, in one or two sentences; empty when there is none.
std::string best_sentence(const Options& options, const AnalysisResult& result);
/// The question of the experiment.
std::string question();
/// The requirements a condition has to meet, one sentence each.
std::vector<std::string> requirements(const Options& options);

struct NamedFact {
  std::string name;
  std::string value;
};
std::vector<NamedFact> data_facts(const Options& options, const RunFacts& facts);

struct FileNote {
  std::string name;
  std::string what;
};
/// The files of the run directory and what they hold.
std::vector<FileNote> files();

}  // namespace phase0::report
