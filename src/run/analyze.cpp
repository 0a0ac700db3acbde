#include <fmt/format.h>

#include "analysis/analyze.h"
#include "data/features_file.h"
#include "models/model_file.h"
#include "phase0/pipeline.h"
#include "phase0/version.h"
#include "report/write.h"
#include "run/advice.h"
#include "run/input_path.h"
#include "run/journal.h"
#include "run/plan_work.h"
#include "run/provenance.h"
#include "run/stage.h"
#include "run/stage_plan.h"
#include "store/atomic_file.h"
#include "store/h5_reader.h"

namespace phase0 {
namespace {

using data::Split;

/// Everything that an analysis reads, open.
class Analysis {
 public:
  Analysis(run::Session& session, const RunFlags& flags, std::string key)
      : session_(session),
        flags_(flags),
        key_(std::move(key)),
        options_(session.options()),
        samples_(session.directory().features(), run::input_path(options_)),
        models_(session.directory().models()),
        assignments_(session.directory().assignments(), ErrorKind::kStorage),
        train_delta_(samples_.delta(Split::kTrain)),
        eval_delta_(samples_.delta(Split::kEval)) {}

  run::StageReport run() {
    const run::Workload workload = run::measure(options_, samples_, samples_.file_bytes());
    const core::Reservation held(session_.execution().memory, run::index_bytes(workload), "the row index");
    const core::Reservation output(session_.execution().memory,
                                   run::analyze_files_in_memory(session_, workload), "output on tmpfs");
    const analysis::AnalysisInput input = this->input();
    analysis::Analysis analysis(options_, input, session_.execution());
    const StagePlan plan = run::plan_analyze(session_, workload, analysis.memory());
    if (plan.minimum_memory_bytes > session_.memory().bytes()) refuse_memory(workload);
    run::require_disk(session_, "analyze", plan.disk_bytes, run::replaced_bytes(session_, "analyze"));
    session_.announce(plan.peak_memory_bytes);
    run::Journal(session_.directory()).begin("analyze", flags_.fresh);
    session_.keep_units(flags_);
    AnalysisResult result = analysis.run();
    for (const auto& condition : options_.clustering.conditions) {
      for (const std::int64_t lag : options_.context.lags) {
        const auto components = models_.pca(lag, condition.name);
        result.pca.insert(result.pca.end(), components.begin(), components.end());
        const auto iterations = models_.kmeans_history(lag, condition.name);
        result.kmeans.insert(result.kmeans.end(), iterations.begin(), iterations.end());
      }
    }
    report::write_all(session_.directory().path, options_, result, facts(plan));
    return {plan, {}};
  }

 private:
  /// What would do with less is planned from the upper bounds, which the counted clusters do not exceed.
  void refuse_memory(const run::Workload& workload) const {
    run::require_memory(
        session_, [&](const run::Session& s) { return run::plan_analyze(s, workload).minimum_memory_bytes; },
        run::ChangeableFrom::kAnalyze);
  }

  analysis::Assignment assignment(std::int64_t lag, const std::string& condition, Split split) const {
    const std::string at =
        fmt::format("/lag{}/{}/{}", lag, condition, split == Split::kTrain ? "train" : "eval");
    return {assignments_.map(at + "/cluster", store::ElementType::kInt32),
            assignments_.map(at + "/distance", store::ElementType::kFloat32)};
  }

  analysis::AnalysisInput input() const {
    analysis::AnalysisInput input;
    input.key = key_;
    input.train = {&samples_.index(Split::kTrain), train_delta_.get(), samples_.high_energy(Split::kTrain)};
    input.eval = {&samples_.index(Split::kEval), eval_delta_.get(), samples_.high_energy(Split::kEval)};
    const models::Normaliser normaliser = models_.normaliser(options_.context.lags.front());
    input.sigma = normaliser.sigma;
    input.speaker_names = samples_.speaker_names();
    for (const auto& condition : options_.clustering.conditions) {
      for (const std::int64_t lag : options_.context.lags) {
        input.cells.push_back({condition, lag, models_.n_clusters(lag, condition.name),
                               assignment(lag, condition.name, Split::kTrain),
                               assignment(lag, condition.name, Split::kEval)});
      }
    }
    return input;
  }

  std::int64_t n_speakers(Split split) const {
    std::vector<bool> seen(samples_.speaker_names().size(), false);
    for (const auto& utterance : samples_.index(split).utterances()) {
      seen[static_cast<std::size_t>(utterance.speaker)] = true;
    }
    return std::count(seen.begin(), seen.end(), true);
  }

  report::RunFacts facts(const StagePlan& plan) const {
    const run::InputFacts input = run::read_input_facts(session_.directory());
    report::RunFacts facts;
    facts.version = version();
    facts.input_path = input.path;
    facts.frame_rate_hz = input.frame_rate_hz;
    facts.dim = samples_.dim();
    facts.n_utterances_train = samples_.n_utterances(Split::kTrain);
    facts.n_utterances_eval = samples_.n_utterances(Split::kEval);
    facts.n_speakers_train = n_speakers(Split::kTrain);
    facts.n_speakers_eval = n_speakers(Split::kEval);
    facts.n_rows_train = samples_.index(Split::kTrain).n_rows();
    facts.n_rows_eval = samples_.index(Split::kEval).n_rows();
    facts.storage = to_string(samples_.storage());
    facts.memory = run::read_stage_memory(session_.directory());
    // Of this stage what it took up to here; run.json has the last word.
    facts.memory.push_back(
        {plan.stage, plan.peak_memory_bytes, core::peak_rss_bytes(), session_.memory().bytes()});
    return facts;
  }

  run::Session& session_;
  const RunFlags& flags_;
  std::string key_;  ///< of the stage
  const Options& options_;
  data::Samples samples_;
  models::ModelFile models_;
  store::H5Reader assignments_;
  std::unique_ptr<data::FeatureSource> train_delta_;
  std::unique_ptr<data::FeatureSource> eval_delta_;
};

}  // namespace

StageOutcome run::analyze(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock) {
  run::Session session(options, observer, &lock);
  const std::string collected = run::collect_key(options);
  const std::string fitted = run::fit_key(options, collected, session.kernels());
  const auto require = [&] {
    run::require_stage(session, "collect", collected);
    run::require_stage(session, "fit", fitted);
  };
  require();
  session.lock_directory();
  require();  // what is there may have changed until then
  const std::string key = run::analyze_key(options, fitted);
  return run::run_stage(session, "analyze", key, flags.fresh,
                        [&] { return Analysis(session, flags, key).run(); });
}

std::string report_text(const std::string& run_dir) {
  // As large as its tables: no less than what was held to write it.
  return store::read_file(run_dir + "/report.txt", std::int64_t{1} << 30);
}

}  // namespace phase0
