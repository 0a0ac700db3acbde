// Options that a program builds itself meet the same bounds as those of a file.
#include <cmath>
#include <functional>
#include <limits>

#include "config/schema.h"
#include "config_cases.h"

namespace phase0::config {
namespace {

Options valid() {
  Options options = default_options();
  options.data.latents = "x.h5";
  options.splits.n_train_speakers = 3;
  options.splits.n_eval_speakers = 2;
  return options;
}

std::string problem_of(const std::function<void(Options&)>& change) {
  Options options = valid();
  change(options);
  try {
    options.validate();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error.what();
  }
  return "valid";
}

TEST(Validate, AcceptsTheDefaults) {
  EXPECT_NO_THROW(valid().validate());
}

TEST(Validate, NamesFieldValueAndBound) {
  EXPECT_EQ(problem_of([](Options& o) { o.data.min_duration_sec = -1; }),
            "data.min_duration_sec: expected a number >= 0, got -1");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.kmeans.tol = std::nan(""); }),
            "clustering.kmeans.tol: expected a number >= 0, got nan");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.kmeans.tol = std::numeric_limits<double>::infinity(); }),
            "clustering.kmeans.tol: expected a number >= 0, got inf");
  EXPECT_EQ(problem_of([](Options& o) { o.splits.utt_holdout_frac = 1; }),
            "splits.utt_holdout_frac: expected a number in [0, 1), got 1");
  EXPECT_EQ(problem_of([](Options& o) { o.compute.threads = -1; }),
            "compute.threads: expected auto or an integer from 0 (auto) to 1024, got -1");
  EXPECT_EQ(problem_of([](Options& o) { o.memory.budget_bytes = 0; }),
            "memory.budget: expected at least 1 byte, got 0");
  EXPECT_EQ(problem_of([](Options& o) {
              o.memory = {1000, 10.0};
            }),
            "memory.budget: expected bytes or a percentage, got both");
  EXPECT_EQ(problem_of([](Options& o) { o.memory.budget_percent = std::nan(""); }),
            "memory.budget: expected a percentage in (0, 100], got nan");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.conditions.clear(); }),
            "clustering.conditions: expected at least one entry, got none");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.conditions[2].k = 5; }),
            "clustering.conditions.2.k: does not belong to type pca_quartile");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.conditions[1].k = -5; }),
            "clustering.conditions.1.k: expected an integer from 1 to 1000000, got -5");
  EXPECT_EQ(problem_of([](Options& o) { o.features.storage = static_cast<Storage>(9); }),
            "features.storage: expected one of auto, window, dense, got number 9");
  EXPECT_EQ(problem_of([](Options& o) { o.clustering.pca_method = static_cast<PcaMethod>(9); }),
            "clustering.pca_method: expected one of auto, covariance, incremental_svd, got number 9");
  EXPECT_EQ(problem_of([](Options& o) {
              o.slices[0] = {"a", SliceFilterKind::kPosFrac, 0.5, std::nan("")};
            }),
            "slices.0.filter: expected null, energy_above_median, or pos_frac_A_B with 0 <= A <= B <= 1, got "
            "\"pos_frac_0.5_nan\"");
  EXPECT_EQ(problem_of([](Options& o) { o.data.latents = std::string("a\0b", 3); }),
            "data.latents: expected a path in UTF-8 without control characters, got \"a\\x00b\"");
  EXPECT_EQ(problem_of([](Options& o) { o.vae_latent_dim = 0; }),
            "vae.latent_dim: expected an integer >= 1, got 0");
}

TEST(Names, OfEnumerators) {
  EXPECT_STREQ(to_string(ConditionType::kPcaQuartile), "pca_quartile");
  EXPECT_STREQ(to_string(Storage::kWindow), "window");
  EXPECT_STREQ(to_string(KernelChoice::kPortable), "portable");
  EXPECT_STREQ(to_string(RestartsOn::kSample), "sample");
  EXPECT_STREQ(to_string(PcaMethod::kIncrementalSvd), "incremental_svd");
  EXPECT_STREQ(to_string(HoldoutPolicy::kReport), "report");
  EXPECT_STREQ(to_string(NonFinitePolicy::kDropUtterance), "drop_utterance");
}

}  // namespace
}  // namespace phase0::config
