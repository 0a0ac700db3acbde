#pragma once

#include <string>
#include <string_view>

#include "phase0/options.h"
#include "phase0/results.h"
#include "report/write.h"

namespace phase0::report {

/// report.html: one file that needs nothing else, neither scripts nor fonts nor a network.
std::string render_html(const Options& options, const AnalysisResult& result, const RunFacts& facts);

/// The style sheet.
std::string_view html_style();

/// Parts of the page.
std::string html_decision_table(const Options& options, const AnalysisResult& result);
std::string html_result_table(const Options& options, const AnalysisResult& result);
std::string html_fit_table(const AnalysisResult& result);
/// Nothing when no figures are known.
std::string html_memory_table(const RunFacts& facts);
std::string html_glossary(const Options& options);

}  // namespace phase0::report
