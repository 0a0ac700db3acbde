#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace phase0 {

/// What to do with an utterance that holds NaN, infinity or a value beyond 1e15 (data/FORMAT.md).
enum class NonFinitePolicy { kError, kDropUtterance };

/// What to do with a sequence that cannot be encoded.
enum class EncoderErrorPolicy { kError, kSkip };

/// A program that turns texts or sound files into frames (data/ENCODER.md).
struct EncoderOptions {
  std::string name;                  ///< [A-Za-z0-9_.-]+, unique
  std::vector<std::string> command;  ///< program, looked up in PATH, and its arguments; no shell
  std::vector<std::string> env;      ///< NAME=VALUE
  std::string device = "cpu";        ///< what it is told to compute on
  std::int64_t threads = 1;          ///< of each worker; >= 1
  double hello_timeout_sec = 60;     ///< from its start to its hello; > 0
  double timeout_sec = 60;           ///< for each further answer; > 0
};

/// Section `data.source`: sequences that are to be encoded first. None without a manifest.
struct SourceOptions {
  std::string manifest;                  ///< path of the manifest (data/ENCODER.md)
  std::vector<EncoderOptions> encoders;  ///< the first that says hello is used
  std::int64_t workers = 0;              ///< 0: as many as there are cores and memory for
  std::int64_t batch = 0;                ///< items in a message; 0: tuned
};

/// Section `data`: the input, either a file or a source.
struct DataOptions {
  std::string latents;  ///< path of the latents file (data/FORMAT.md)
  SourceOptions source;
  EncoderErrorPolicy on_encoder_error = EncoderErrorPolicy::kError;
  double min_duration_sec = 3.0;  ///< shorter utterances are left out; >= 0
  NonFinitePolicy non_finite = NonFinitePolicy::kError;
};

/// Section `splits`: who is trained on and who is only evaluated. Either both files or both counts are given.
struct SplitOptions {
  std::string train_speakers_file;  ///< one speaker name per line; empty: use the counts
  std::string eval_speakers_file;
  std::optional<std::int64_t> n_train_speakers;  ///< >= 1
  std::optional<std::int64_t> n_eval_speakers;   ///< >= 1
  std::optional<std::uint64_t> seed;             ///< of the shuffle; default: the root `seed`
  double utt_holdout_frac = 0.1;  ///< share of the train utterances held out inside train; [0, 1)
};

/// Section `context`: the recent past that a condition may look at.
struct ContextOptions {
  std::int64_t window_size = 8;  ///< W, frames; >= 1
  std::vector<std::int64_t> lags = {1, 2,
                                    4};  ///< L, frames between the context's end and the target; >= 1, unique
};

/// How features are kept: computed from frames in the scan, or streamed to disk once.
enum class Storage { kAuto, kWindow, kDense };

/// Section `features`.
struct FeatureOptions {
  Storage storage = Storage::kAuto;
};

/// Whether held-out train utterances are part of the k-means fit.
enum class HoldoutPolicy { kReport, kExclude };

/// How the principal components are found.
enum class PcaMethod {
  kAuto,            ///< covariance while it takes at most 2 GiB: the shape W, D decides, never the memory
  kCovariance,      ///< exact; out of core where the memory is short
  kIncrementalSvd,  ///< approximate, one scan, memory for a few hundred rows
};

/// Which rows the k-means restarts see.
enum class RestartsOn { kAuto, kAll, kSample };

/// Section `clustering.kmeans`.
struct KMeansOptions {
  std::int64_t n_init = 10;     ///< restarts; >= 1
  std::int64_t max_iter = 100;  ///< >= 1
  double tol = 1e-4;            ///< relative to the mean per-dimension variance; >= 0
  RestartsOn restarts_on = RestartsOn::kAuto;
};

enum class ConditionType { kMeanPoolVq, kPcaVq, kPcaQuartile };

/// One coarse description of the context.
struct ConditionOptions {
  std::string name;  ///< [A-Za-z0-9_.-]+, unique
  ConditionType type = ConditionType::kMeanPoolVq;
  std::int64_t k = 0;        ///< clusters; >= 1 for the VQ types, 0 otherwise
  std::int64_t pca_dim = 0;  ///< components; >= 1 for the PCA types (<= 15 for pca_quartile), 0 otherwise
};

/// Section `clustering`.
struct ClusteringOptions {
  std::int64_t min_cluster_size = 100;  ///< train rows below which a cluster is not counted; >= 1
  HoldoutPolicy holdout = HoldoutPolicy::kReport;
  PcaMethod pca_method = PcaMethod::kAuto;
  KMeansOptions kmeans;
  std::vector<ConditionOptions> conditions;  ///< at least one
};

enum class SliceFilterKind { kAll, kEnergyAboveMedian, kPosFrac };

/// A subset of the rows on which the metrics are computed again. Models are never refitted on it.
struct SliceOptions {
  std::string name;  ///< [A-Za-z0-9_.-]+, unique; reported as the slice
  SliceFilterKind filter = SliceFilterKind::kAll;
  double pos_frac_min = 0.0;  ///< inclusive; of kPosFrac
  double pos_frac_max = 1.0;  ///< inclusive
};

/// Section `metrics`.
struct MetricOptions {
  double variance_ratio_threshold = 0.6;        ///< > 0
  double cross_speaker_degradation_max = 0.20;  ///< >= 0
  double random_baseline_tolerance = 0.05;      ///< >= 0
  std::int64_t permutations = 20;               ///< >= 0
};

/// Section `memory`. Exactly one of the fields is set, or none for `auto`.
struct MemoryOptions {
  std::optional<std::int64_t> budget_bytes;
  std::optional<double> budget_percent;  ///< of what is available; (0, 100]
};

enum class KernelChoice { kAuto, kPortable, kAvx2, kAvx512, kAmx };

/// Section `compute`.
struct ComputeOptions {
  std::int64_t threads = 0;  ///< 0: as many as the process may use
  KernelChoice kernels = KernelChoice::kAuto;
};

/// Section `output`.
struct OutputOptions {
  std::string dir = "runs/default";
};

/// A whole experiment: what a configuration file holds.
struct Options {
  std::uint64_t seed = 42;
  DataOptions data;
  SplitOptions splits;
  ContextOptions context;
  FeatureOptions features;
  ClusteringOptions clustering;
  std::vector<SliceOptions> slices = {{"all", SliceFilterKind::kAll, 0.0, 1.0}};
  MetricOptions metrics;
  MemoryOptions memory;
  ComputeOptions compute;
  OutputOptions output;
  /// Figures of a foreign `vae` section, checked against the input and otherwise unused.
  std::optional<double> vae_frame_rate;
  std::optional<std::int64_t> vae_latent_dim;

  /// Throws Error (kConfig) that names the field, its value and the bound it breaks.
  void validate() const;
};

/// Names as they stand in configuration files and tables.
const char* to_string(ConditionType type);
const char* to_string(Storage storage);
const char* to_string(KernelChoice choice);
const char* to_string(RestartsOn restarts);
const char* to_string(PcaMethod method);
const char* to_string(HoldoutPolicy policy);
const char* to_string(NonFinitePolicy policy);
const char* to_string(EncoderErrorPolicy policy);
/// `null`, `energy_above_median` or `pos_frac_A_B`.
std::string filter_name(const SliceOptions& slice);

}  // namespace phase0
