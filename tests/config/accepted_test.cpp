// Defaults, what every key does, overrides, and the round trip of a dump.
#include "config_cases.h"

namespace phase0::config {
namespace {

TEST(Defaults, OfAMinimalFile) {
  const Options options = parse(kMinimal, "c.yaml", {});
  EXPECT_EQ(options.seed, 42U);
  EXPECT_EQ(options.data.latents, "x.h5");
  EXPECT_EQ(options.data.min_duration_sec, 3.0);
  EXPECT_EQ(options.splits.n_train_speakers, 3);
  EXPECT_FALSE(options.splits.seed.has_value());
  EXPECT_EQ(options.context.lags, (std::vector<std::int64_t>{1, 2, 4}));
  ASSERT_EQ(options.clustering.conditions.size(), 3U);
  EXPECT_EQ(options.clustering.conditions[0].name, "mean_vq64");
  EXPECT_EQ(options.clustering.conditions[0].k, 64);
  EXPECT_EQ(options.clustering.conditions[1].type, ConditionType::kPcaVq);
  EXPECT_EQ(options.clustering.conditions[1].pca_dim, 8);
  EXPECT_EQ(options.clustering.conditions[2].name, "pca8_quartile");
  ASSERT_EQ(options.slices.size(), 1U);
  EXPECT_EQ(options.slices[0].name, "all");
  EXPECT_FALSE(options.memory.budget_bytes || options.memory.budget_percent);
  EXPECT_EQ(options.compute.threads, 0);
  EXPECT_EQ(options.output.dir, "runs/default");
}

TEST(Accepted, NullSectionsAndNullOptionalKeys) {
  const Options options = parse(
      "data: {latents: x}\nmetrics:\nvae: ~\n"
      "splits: {n_train_speakers: 1, n_eval_speakers: 1, seed: null, train_speakers_file: null}\n",
      "c.yaml", {});
  EXPECT_EQ(options.metrics.permutations, 20);
  EXPECT_TRUE(options.splits.train_speakers_file.empty());
}

TEST(Accepted, VaeSectionKeepsItsOwnKeys) {
  const Options options = parse(
      kMinimal + "vae: {frame_rate: 12.5, latent_dim: 512, checkpoint: a.pt, nested: {n_init: [1, x]}}\n",
      "c.yaml", {});
  EXPECT_EQ(options.vae_frame_rate, 12.5);
  EXPECT_EQ(options.vae_latent_dim, 512);
}

TEST(Accepted, QuotedTextIsText) {
  EXPECT_EQ(
      parse("data: {latents: \"010\"}\n" + kMinimal.substr(kMinimal.find('\n') + 1), "c", {}).data.latents,
      "010");
  EXPECT_EQ(parse(kMinimal + "features: {storage: 'dense'}\n", "c", {}).features.storage, Storage::kDense);
}

TEST(Accepted, Filters) {
  const Options options = parse(kMinimal +
                                    "slices: [{name: a}, {name: b, filter: energy_above_median}, {name: c, "
                                    "filter: pos_frac_0.17_0.83}]\n",
                                "c.yaml", {});
  EXPECT_EQ(options.slices[0].filter, SliceFilterKind::kAll);
  EXPECT_EQ(options.slices[1].filter, SliceFilterKind::kEnergyAboveMedian);
  EXPECT_EQ(options.slices[2].filter, SliceFilterKind::kPosFrac);
  EXPECT_EQ(options.slices[2].pos_frac_min, 0.17);
  EXPECT_EQ(options.slices[2].pos_frac_max, 0.83);
  EXPECT_EQ(filter_name(options.slices[0]), "null");
  EXPECT_EQ(filter_name(options.slices[2]), "pos_frac_0.17_0.83");
}

TEST(Overrides, ReplaceAddAndAddressElements) {
  const Options options = parse(
      kMinimal + "context:\n  window_size: 5\n", "c.yaml",
      {"context.window_size=6", "context.lags=[3, 1]", "context.lags.0=7", "clustering.conditions.0.k=32",
       "slices.0.filter=energy_above_median", "memory={budget: 25%}", "output.dir=a=b", "seed=1", "seed=2"});
  EXPECT_EQ(options.context.window_size, 6);
  EXPECT_EQ(options.context.lags, (std::vector<std::int64_t>{7, 1}));
  ASSERT_EQ(options.clustering.conditions.size(), 3U);
  EXPECT_EQ(options.clustering.conditions[0].k, 32);
  EXPECT_EQ(options.clustering.conditions[1].k, 256);
  EXPECT_EQ(options.slices[0].filter, SliceFilterKind::kEnergyAboveMedian);
  EXPECT_EQ(options.memory.budget_percent, 25.0);
  EXPECT_EQ(options.output.dir, "a=b");
  EXPECT_EQ(options.seed, 2U);
}

TEST(Overrides, AreAppliedBeforeValidation) {
  EXPECT_EQ(parse("seed: -1\n", "c",
                  {"seed=3", "data.latents=x", "splits.n_train_speakers=1", "splits.n_eval_speakers=1"})
                .seed,
            3U);
  EXPECT_EQ(parse(kMinimal, "c", {"splits={train_speakers_file: a, eval_speakers_file: b}"})
                .splits.n_train_speakers,
            std::nullopt);
}

TEST(Overrides, ErrorsNameTheFlag) {
  const auto what = [](const std::string& text) { return std::string(rejection(kMinimal, {text}).what()); };
  EXPECT_EQ(what("clustering.kmeans.n_int=3"),
            "--set \"clustering.kmeans.n_int=3\": unknown key \"n_int\" in clustering.kmeans; did you mean "
            "\"n_init\"?");
  EXPECT_EQ(
      what("context.window_size=0"),
      "--set \"context.window_size=0\": context.window_size: expected an integer from 1 to 1000000, got 0");
  for (const char* bad : {"foo", "=3", "a..b=3", ".a=3", "a.=3", ""}) {
    EXPECT_EQ(what(bad), "--set \"" + std::string(bad) +
                             "\": expected KEY=VALUE with a key such as clustering.kmeans.n_init");
  }
  std::string deep = "a";
  for (int i = 0; i < 60'000; ++i) deep += ".a";
  EXPECT_NE(what(deep + "=1").find("the key has 60001 parts, at most 16 work"), std::string::npos);
  EXPECT_EQ(what("context.lags.3=1"),
            "--set \"context.lags.3=1\": context.lags.3: context.lags is a list of 3; \"3\" is not one of "
            "its elements, "
            "which count from 0");
  EXPECT_EQ(what("data.latents.x=1"),
            "--set \"data.latents.x=1\": data.latents.x: data.latents is \"x.h5\", which has no keys");
  EXPECT_NE(what("context.lags=[1").find("--set \"context.lags=[1\": invalid YAML: "), std::string::npos);
  EXPECT_NE(what("seed=&a 3").find("YAML anchors"), std::string::npos);
}

TEST(Overrides, ErrorsOfTheFileKeepTheirLine) {
  EXPECT_EQ(rejection(kMinimal + "context: {window_size: 0}\n", {"seed=3"}).place().line, 3);
}

TEST(Dump, RoundTripsEveryKey) {
  const std::string text =
      "seed: 18446744073709551615\n"
      "data: {latents: 'a \"b\" \\c: #d', min_duration_sec: 0.1, non_finite: drop_utterance}\n"
      "splits: {train_speakers_file: \"null\", eval_speakers_file: \"-x é\", seed: 0, utt_holdout_frac: "
      "1e-300}\n"
      "context: {window_size: 1000000, lags: [1000000, 1]}\n"
      "features: {storage: dense}\n"
      "clustering:\n"
      "  min_cluster_size: 9223372036854775807\n"
      "  holdout: exclude\n"
      "  pca_method: incremental_svd\n"
      "  kmeans: {n_init: 1000, max_iter: 1, tol: 0.30000000000000004, restarts_on: sample}\n"
      "  conditions: [{name: yes, type: pca_quartile, pca_dim: 15}, {name: \"64\", type: mean_pool_vq, k: "
      "1000000}]\n"
      "slices: [{name: -a, filter: pos_frac_1e-05_0.1}, {name: b, filter: energy_above_median}]\n"
      "metrics: {variance_ratio_threshold: 5e-324, cross_speaker_degradation_max: 1.7976931348623157e308,\n"
      "          random_baseline_tolerance: 0, permutations: 0}\n"
      "memory: {budget: 33.3%}\n"
      "compute: {threads: 1024, kernels: amx}\n"
      "output: {dir: ./runs/x}\n"
      "vae: {frame_rate: 12.5, latent_dim: 512}\n";
  const Options first = parse(text, "c.yaml", {});
  const std::string dumped = dump(first);
  const Options second = parse(dumped, "dump", {});
  EXPECT_EQ(dump(second), dumped);
  EXPECT_EQ(second.seed, 18446744073709551615U);
  EXPECT_EQ(second.data.latents, "a \"b\" \\c: #d");
  EXPECT_EQ(second.data.min_duration_sec, 0.1);
  EXPECT_EQ(second.data.non_finite, NonFinitePolicy::kDropUtterance);
  EXPECT_EQ(second.splits.train_speakers_file, "null");
  EXPECT_EQ(second.splits.eval_speakers_file, "-x é");
  EXPECT_EQ(second.splits.seed, 0U);
  EXPECT_EQ(second.splits.n_train_speakers, std::nullopt);
  EXPECT_EQ(second.splits.utt_holdout_frac, 1e-300);
  EXPECT_EQ(second.context.lags, first.context.lags);
  EXPECT_EQ(second.clustering.min_cluster_size, 9223372036854775807);
  EXPECT_EQ(second.clustering.holdout, HoldoutPolicy::kExclude);
  EXPECT_EQ(second.clustering.pca_method, PcaMethod::kIncrementalSvd);
  EXPECT_EQ(second.clustering.kmeans.tol, 0.30000000000000004);
  EXPECT_EQ(second.clustering.kmeans.restarts_on, RestartsOn::kSample);
  EXPECT_EQ(second.clustering.conditions[0].name, "yes");
  EXPECT_EQ(second.clustering.conditions[0].k, 0);
  EXPECT_EQ(second.clustering.conditions[1].k, 1000000);
  EXPECT_EQ(second.slices[0].pos_frac_min, 1e-05);
  EXPECT_EQ(second.metrics.variance_ratio_threshold, 5e-324);
  EXPECT_EQ(second.metrics.cross_speaker_degradation_max, 1.7976931348623157e308);
  EXPECT_EQ(second.memory.budget_percent, 33.3);
  EXPECT_EQ(second.compute.threads, 1024);
  EXPECT_EQ(second.compute.kernels, KernelChoice::kAmx);
  EXPECT_EQ(second.output.dir, "./runs/x");
  EXPECT_EQ(second.vae_frame_rate, 12.5);
}

TEST(Dump, DefaultsReadBack) {
  const std::string dumped = dump(parse(kMinimal, "c.yaml", {}));
  EXPECT_EQ(dump(parse(dumped, "dump", {})), dumped);
  EXPECT_EQ(dumped.find("vae"), std::string::npos);
  EXPECT_NE(dumped.find("  kmeans:\n    n_init: 10\n"), std::string::npos) << dumped;
  EXPECT_NE(dumped.find("    - {name: pca8_quartile, type: pca_quartile, pca_dim: 8}\n"), std::string::npos);
}

}  // namespace
}  // namespace phase0::config
