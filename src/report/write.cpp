#include "report/write.h"

#include "report/html.h"
#include "report/json.h"
#include "report/tables.h"
#include "store/atomic_file.h"

namespace phase0::report {

void write_all(const std::string& run_dir, const Options& options, const AnalysisResult& result,
               const RunFacts& facts) {
  const auto write = [&](const char* name, const std::string& contents) {
    store::write_file_atomically(run_dir + "/" + name, contents);
  };
  write("tables.csv", tables_csv(result.cells));
  write("metrics.csv", metrics_csv(result.cells));
  write("speakers.csv", speakers_csv(result.speakers));
  write("clusters.csv", clusters_csv(result.clusters));
  write("confidence.csv", confidence_csv(result.confidence));
  write("pca.csv", pca_csv(result.pca));
  write("kmeans.csv", kmeans_csv(result.kmeans));
  write("metrics.json", metrics_json(result));
  write("decision.json", decision_json(options, result.decision));
  write("report.txt", render_text(options, result, facts));
  write("report.html", render_html(options, result, facts));
}

}  // namespace phase0::report
