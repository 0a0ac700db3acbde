#include "config/schema.h"

#include "config/codec.h"

namespace phase0::config {
namespace {

constexpr std::int64_t kMaxClusters = 1'000'000;
constexpr std::int64_t kMaxWindow = 1'000'000;
constexpr std::int64_t kMaxLag = 1'000'000;
constexpr std::int64_t kMaxPcaDim = 1'000'000'000;
constexpr std::int64_t kNoMaximum = std::numeric_limits<std::int64_t>::max();
constexpr Integer<> kPositive{1, kNoMaximum};
constexpr Integer<std::uint64_t> kSeed{};

Table<ConditionOptions> condition_table() {
  Table<ConditionOptions> table;
  const auto add = [&table](const char* key, auto get, auto codec, bool required = false) {
    table.push_back(make_field<ConditionOptions>(key, get, codec, required));
  };
  add(
      "name", [](auto& c) -> auto& { return c.name; }, NameText{}, true);
  add(
      "type", [](auto& c) -> auto& { return c.type; }, Choice<ConditionType>{}, true);
  add(
      "pca_dim", [](auto& c) -> auto& { return c.pca_dim; }, AbsentIfZero{{1, kMaxPcaDim}});
  add(
      "k", [](auto& c) -> auto& { return c.k; }, AbsentIfZero{{1, kMaxClusters}});
  return table;
}

Table<SliceOptions> slice_table() {
  Table<SliceOptions> table;
  table.push_back(make_field<SliceOptions>(
      "name", [](auto& s) -> auto& { return s.name; }, NameText{}, true));
  table.push_back(make_field<SliceOptions>(
      "filter", [](auto& s) -> auto& { return s; }, Filter{}));
  return table;
}

Table<EncoderOptions> encoder_table() {
  Table<EncoderOptions> table;
  const auto add = [&table](const char* key, auto get, auto codec, bool required = false) {
    table.push_back(make_field<EncoderOptions>(key, get, codec, required));
  };
  add(
      "name", [](auto& e) -> auto& { return e.name; }, NameText{}, true);
  add(
      "command", [](auto& e) -> auto& { return e.command; }, LineList{}, true);
  add(
      "env", [](auto& e) -> auto& { return e.env; }, LineList{});
  add(
      "device", [](auto& e) -> auto& { return e.device; }, LineText{});
  add(
      "threads", [](auto& e) -> auto& { return e.threads; }, Integer<>{1, 1024});
  add(
      "hello_timeout_sec", [](auto& e) -> auto& { return e.hello_timeout_sec; }, Real{0, true, 1e6});
  add(
      "timeout_sec", [](auto& e) -> auto& { return e.timeout_sec; }, Real{0, true, 1e6});
  return table;
}

/// Collects fields of Options, so that a row of the table is one call.
struct TableBuilder {
  Table<Options> table;

  template <typename Get, typename Codec>
  void add(const char* key, Get get, Codec codec) {
    table.push_back(make_field<Options>(key, get, codec));
  }
};

void add_input_fields(TableBuilder& t) {
  t.add(
      "seed", [](auto& o) -> auto& { return o.seed; }, kSeed);
  t.add(
      "data.latents", [](auto& o) -> auto& { return o.data; }, LatentsPath{});
  t.add(
      "data.source.manifest", [](auto& o) -> auto& { return o.data.source.manifest; }, PathText{true});
  t.add(
      "data.source.encoders", [](auto& o) -> auto& { return o.data.source.encoders; },
      OptionalRecords<EncoderOptions>{{encoder_table()}});
  t.add(
      "data.source.workers", [](auto& o) -> auto& { return o.data.source.workers; }, Threads{});
  t.add(
      "data.source.batch", [](auto& o) -> auto& { return o.data.source.batch; }, Batch{});
  t.add(
      "data.on_encoder_error", [](auto& o) -> auto& { return o.data.on_encoder_error; },
      Choice<EncoderErrorPolicy>{});
  t.add(
      "data.min_duration_sec", [](auto& o) -> auto& { return o.data.min_duration_sec; }, Real{0});
  t.add(
      "data.non_finite", [](auto& o) -> auto& { return o.data.non_finite; }, Choice<NonFinitePolicy>{});
  t.add(
      "splits.train_speakers_file", [](auto& o) -> auto& { return o.splits.train_speakers_file; },
      PathText{true});
  t.add(
      "splits.eval_speakers_file", [](auto& o) -> auto& { return o.splits.eval_speakers_file; },
      PathText{true});
  t.add(
      "splits.n_train_speakers", [](auto& o) -> auto& { return o.splits.n_train_speakers; },
      Nullable<Integer<>>{kPositive});
  t.add(
      "splits.n_eval_speakers", [](auto& o) -> auto& { return o.splits.n_eval_speakers; },
      Nullable<Integer<>>{kPositive});
  t.add(
      "splits.seed", [](auto& o) -> auto& { return o.splits.seed; }, Nullable<Integer<std::uint64_t>>{kSeed});
  t.add(
      "splits.utt_holdout_frac", [](auto& o) -> auto& { return o.splits.utt_holdout_frac; },
      Real{0, false, 1});
  t.add(
      "context.window_size", [](auto& o) -> auto& { return o.context.window_size; },
      Integer<>{1, kMaxWindow});
  t.add(
      "context.lags", [](auto& o) -> auto& { return o.context.lags; }, IntegerList{{1, kMaxLag}});
  t.add(
      "features.storage", [](auto& o) -> auto& { return o.features.storage; }, Choice<Storage>{});
}

void add_clustering_fields(TableBuilder& t) {
  t.add(
      "clustering.min_cluster_size", [](auto& o) -> auto& { return o.clustering.min_cluster_size; },
      kPositive);
  t.add(
      "clustering.holdout", [](auto& o) -> auto& { return o.clustering.holdout; }, Choice<HoldoutPolicy>{});
  t.add(
      "clustering.pca_method", [](auto& o) -> auto& { return o.clustering.pca_method; }, Choice<PcaMethod>{});
  t.add(
      "clustering.kmeans.n_init", [](auto& o) -> auto& { return o.clustering.kmeans.n_init; },
      Integer<>{1, 1000});
  t.add(
      "clustering.kmeans.max_iter", [](auto& o) -> auto& { return o.clustering.kmeans.max_iter; },
      Integer<>{1, 1'000'000});
  t.add(
      "clustering.kmeans.tol", [](auto& o) -> auto& { return o.clustering.kmeans.tol; }, Real{0});
  t.add(
      "clustering.kmeans.restarts_on", [](auto& o) -> auto& { return o.clustering.kmeans.restarts_on; },
      Choice<RestartsOn>{});
  t.add(
      "clustering.conditions", [](auto& o) -> auto& { return o.clustering.conditions; },
      Records<ConditionOptions>{condition_table()});
}

void add_output_fields(TableBuilder& t) {
  t.add(
      "slices", [](auto& o) -> auto& { return o.slices; }, Records<SliceOptions>{slice_table()});
  t.add(
      "metrics.variance_ratio_threshold", [](auto& o) -> auto& { return o.metrics.variance_ratio_threshold; },
      Real{0, true});
  t.add(
      "metrics.cross_speaker_degradation_max",
      [](auto& o) -> auto& { return o.metrics.cross_speaker_degradation_max; }, Real{0});
  t.add(
      "metrics.random_baseline_tolerance",
      [](auto& o) -> auto& { return o.metrics.random_baseline_tolerance; }, Real{0});
  t.add(
      "metrics.permutations", [](auto& o) -> auto& { return o.metrics.permutations; }, Integer<>{0, 100'000});
  t.add(
      "memory.budget", [](auto& o) -> auto& { return o.memory; }, MemorySize{});
  t.add(
      "compute.threads", [](auto& o) -> auto& { return o.compute.threads; }, Threads{});
  t.add(
      "compute.kernels", [](auto& o) -> auto& { return o.compute.kernels; }, Choice<KernelChoice>{});
  t.add(
      "output.dir", [](auto& o) -> auto& { return o.output.dir; }, PathText{});
  t.add(
      "vae.frame_rate", [](auto& o) -> auto& { return o.vae_frame_rate; }, Nullable<Real>{{0, true}, true});
  t.add(
      "vae.latent_dim", [](auto& o) -> auto& { return o.vae_latent_dim; },
      Nullable<Integer<>>{kPositive, true});
}

Table<Options> build_options_table() {
  TableBuilder builder;
  add_input_fields(builder);
  add_clustering_fields(builder);
  add_output_fields(builder);
  return std::move(builder.table);
}

}  // namespace

const Table<Options>& options_table() {
  static const Table<Options> table = build_options_table();
  return table;
}

Options default_options() {
  Options options;
  options.clustering.conditions = {{"mean_vq64", ConditionType::kMeanPoolVq, 64, 0},
                                   {"pca8_vq256", ConditionType::kPcaVq, 256, 8},
                                   {"pca8_quartile", ConditionType::kPcaQuartile, 0, 8}};
  return options;
}

}  // namespace phase0::config
