#pragma once

#include <optional>
#include <set>
#include <vector>

#include "analysis/analyze.h"
#include "data/feature_source.h"
#include "data/features_file.h"
#include "data/latents.h"
#include "data/splits.h"
#include "models/kmeans.h"
#include "models/pca.h"
#include "phase0/pipeline.h"
#include "run/lag_groups.h"
#include "run/session.h"

namespace phase0::run {

/// Sizes that decide what a run takes; known from metadata.
struct Workload {
  std::int64_t n_frames = 0, dim = 0;
  std::int64_t n_train = 0, n_eval = 0;
  std::int64_t n_speakers = 0;                  ///< of the whole input
  std::int64_t n_utterances = 0;                ///< of the whole input
  data::SourceShape delta, mean, flat;          ///< of the train rows, the same for every lag
  std::vector<data::SourceShape> joined_means;  ///< of the train rows; none where dense
  data::SourceShape span;              ///< of train rows that hold the contexts of the widest group of lags
  std::int64_t frame_bytes = 0;        ///< of a frame as the stages after collect read it
  std::int64_t input_frame_bytes = 0;  ///< of a frame in the input; 0 after collect
  bool quantised = false;              ///< no check of all values goes through the frames of the input
  std::int64_t table_bytes = 0;        ///< of quantised frames
  bool staged = false;
  Storage storage = Storage::kWindow;
  std::int64_t features_bytes = 0;  ///< of features.h5
  core::ScanNeed check;             ///< of collect
  std::int64_t check_blocks = 0;
  data::WriteMemory write;  ///< of collect
};

/// Before collect, from the input's metadata.
Workload measure(const Options& options, const data::Latents& latents, const data::SplitPlan& splits);
/// After collect. `features_bytes`: the size of features.h5.
Workload measure(const Options& options, const data::Samples& samples, std::int64_t features_bytes);

/// Checks of options against the input: PCA dimensions, clusters against rows, the `vae` figures.
/// Throws Error (kConfig).
void check_against_input(const Options& options, const data::Latents& latents, const Workload& workload);

/// Memory that every stage holds from its start to its end: names and rows of the utterances, tables of
/// quantised frames.
std::int64_t index_bytes(const Workload& workload);
/// What fit holds besides: the PCA models of the lags, and the centroids of those on means.
std::int64_t models_bytes(const Options& options, const Workload& workload);

/// Train rows that a condition is fitted on: `mean`, or scores.
data::SourceShape condition_rows(const Options& options, const Workload& workload,
                                 const ConditionOptions& condition);
/// As models::plan_kmeans wants them.
std::vector<data::SourceShape> condition_lanes(const Session& session, const Workload& workload,
                                               const ConditionOptions& condition);
/// Of the means of 2, 3 .. up to all lags as lanes of one source, whichever lags go together.
std::vector<data::SourceShape> joined_means(const Options& options, const data::SampleIndex& rows,
                                            std::int64_t dim, std::int64_t frame_bytes);

/// How the parts of fit go within the session's memory: what its memory, passes and work are counted from.
struct FitParts {
  std::set<std::int64_t> pca_dims;
  std::int64_t window = 0;                 ///< frames of a context, as PcaTask::window
  std::vector<LagGroup> lag_groups;        ///< that share a PCA's scans
  std::optional<models::PcaPlan> pca;      ///< of the widest group; none without components
  std::vector<models::KMeansPlan> kmeans;  ///< of each condition, empty for one without k-means
};
FitParts fit_parts(const Session& session, const Workload& workload);

StagePlan plan_collect(const Session& session, const Workload& workload);
StagePlan plan_fit(const Session& session, const Workload& workload);
/// From what is known before anything is fitted: an upper bound.
StagePlan plan_analyze(const Session& session, const Workload& workload);
/// From the counted clusters.
StagePlan plan_analyze(const Session& session, const Workload& workload,
                       const analysis::AnalysisMemory& memory);

/// All stages in their order; what the most demanding one needs at least, and the disk they take together.
std::vector<StagePlan> plan_stages(const Session& session, const Workload& workload);
std::int64_t minimum_bytes(const std::vector<StagePlan>& stages);
std::int64_t disk_bytes(const std::vector<StagePlan>& stages);

}  // namespace phase0::run
