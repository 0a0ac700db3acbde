// Unknown keys, wrong types and values out of range, with the line and the words of the message.
#include <array>

#include "config_cases.h"

namespace phase0::config {
namespace {

struct Case {
  std::string text;      ///< from line 3 on
  std::string expected;  ///< the message after the file's name
};

class Rejected : public testing::TestWithParam<Case> {};

TEST_P(Rejected, WithLineKeyAndExpectation) {
  EXPECT_EQ(message_of(GetParam().text), "c.yaml:" + GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    UnknownKeys, Rejected,
    testing::Values(
        Case{"clustering:\n  kmeans:\n    n_int: 3\n",
             "5: unknown key \"n_int\" in clustering.kmeans; did you mean \"n_init\"?"},
        Case{"n_init: 3\n",
             "3: unknown key \"n_init\" at the top level; did you mean \"clustering.kmeans.n_init\"?"},
        Case{"sede: 3\n", "3: unknown key \"sede\" at the top level; did you mean \"seed\"?"},
        Case{"context:\n  xyzzy: 3\n", "4: unknown key \"xyzzy\" in context; known: window_size, lags"},
        Case{
            "features.storage: dense\n",
            "3: unknown key \"features.storage\" at the top level; in a file a key stands below its section, "
            "not behind a dot"},
        Case{"clustering:\n  conditions:\n    - {name: a, type: pca_quartile,\n       pcadim: 3}\n",
             "6: unknown key \"pcadim\" in clustering.conditions.0; did you mean "
             "\"pca_dim\"?"}));

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, Rejected,
    testing::Values(
        Case{"clustering: {kmeans: {n_init: abc}}\n",
             "3: clustering.kmeans.n_init: expected an integer from 1 to 1000, got \"abc\""},
        Case{"clustering: {min_cluster_size: 1.5}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"1.5\""},
        Case{"clustering: {min_cluster_size: 1e3}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"1e3\""},
        Case{"clustering: {min_cluster_size: 0x10}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"0x10\""},
        Case{"clustering: {min_cluster_size: 1_000}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"1_000\""},
        Case{"clustering: {min_cluster_size: +5}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"+5\""},
        Case{"clustering: {min_cluster_size: 010}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1 without leading zeros, got \"010\""},
        Case{"clustering: {min_cluster_size: 99999999999999999999}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got \"99999999999999999999\""},
        Case{"clustering: {min_cluster_size: \"100\"}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got the quoted string \"100\""},
        Case{"clustering: {min_cluster_size: }\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got nothing (null)"},
        Case{"clustering:\n  min_cluster_size: [100]\n",
             "4: clustering.min_cluster_size: expected an integer >= 1, got a list"},
        Case{"context: {lags: 1}\n", "3: context.lags: expected a list of integers, got \"1\""},
        Case{"context:\n  lags:\n    - 1\n    - x\n",
             "6: context.lags.1: expected an integer from 1 to 1000000, got \"x\""},
        Case{"context: 8\n", "3: context: expected a mapping of keys to values, got \"8\""},
        Case{"metrics: {variance_ratio_threshold: high}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \"high\""},
        Case{"metrics: {variance_ratio_threshold: .nan}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \".nan\""},
        Case{"metrics: {variance_ratio_threshold: nan}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \"nan\""},
        Case{"metrics: {variance_ratio_threshold: inf}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \"inf\""},
        Case{"metrics: {variance_ratio_threshold: 1e999}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \"1e999\""},
        Case{"metrics: {variance_ratio_threshold: 00.5}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got \"00.5\""},
        Case{"features: {storage: disk}\n",
             "3: features.storage: expected one of auto, window, dense, got \"disk\""},
        Case{"compute: {kernels: avx}\n",
             "3: compute.kernels: expected one of auto, portable, avx2, avx512, amx, got \"avx\""},
        Case{"output: {dir: [a]}\n", "3: output.dir: expected a path, got a list"},
        Case{"slices: {all: null}\n", "3: slices: expected a list of mappings, got a mapping"},
        Case{"slices: [all]\n", "3: slices.0: expected a mapping of keys to values, got \"all\""},
        Case{"vae: {latent_dim: x}\n", "3: vae.latent_dim: expected an integer >= 1, got \"x\""}));

INSTANTIATE_TEST_SUITE_P(
    OutOfRange, Rejected,
    testing::Values(
        Case{"clustering:\n  kmeans:\n    n_init: 0\n",
             "5: clustering.kmeans.n_init: expected an integer from 1 to 1000, got 0"},
        Case{"clustering: {kmeans: {n_init: 1001}}\n",
             "3: clustering.kmeans.n_init: expected an integer from 1 to 1000, got 1001"},
        Case{"clustering: {kmeans: {max_iter: 1000001}}\n",
             "3: clustering.kmeans.max_iter: expected an integer from 1 to 1000000, got 1000001"},
        Case{"clustering: {kmeans: {tol: -1e-9}}\n",
             "3: clustering.kmeans.tol: expected a number >= 0, got -1e-09"},
        Case{"clustering: {min_cluster_size: 0}\n",
             "3: clustering.min_cluster_size: expected an integer >= 1, got 0"},
        Case{"context: {window_size: 0}\n",
             "3: context.window_size: expected an integer from 1 to 1000000, got 0"},
        Case{"context: {lags: []}\n", "3: context.lags: expected at least one integer, got an empty list"},
        Case{"context: {lags: [1, 0]}\n", "3: context.lags.1: expected an integer from 1 to 1000000, got 0"},
        Case{"context: {lags: [1, 1000001]}\n",
             "3: context.lags.1: expected an integer from 1 to 1000000, got 1000001"},
        Case{"context: {lags: [1,\n 2,\n 1]}\n", "5: context.lags.2: 1 is listed twice"},
        Case{"metrics: {permutations: 100001}\n",
             "3: metrics.permutations: expected an integer from 0 to 100000, got 100001"},
        Case{"metrics: {permutations: -1}\n",
             "3: metrics.permutations: expected an integer from 0 to 100000, got -1"},
        Case{"metrics: {variance_ratio_threshold: 0}\n",
             "3: metrics.variance_ratio_threshold: expected a number > 0, got 0"},
        Case{"compute: {threads: 1025}\n",
             "3: compute.threads: expected auto or an integer from 0 (auto) to 1024, got 1025"},
        Case{"compute: {threads: -1}\n",
             "3: compute.threads: expected auto or an integer from 0 (auto) to 1024, got -1"},
        Case{"seed: -1\n", "3: seed: expected an integer from 0 to 18446744073709551615, got \"-1\""},
        Case{"output: {dir: \"\"}\n", "3: output.dir: a path is required, got none"},
        Case{"output: {dir: \"a\\nb\"}\n",
             "3: output.dir: expected a path in UTF-8 without control characters, got \"a\\x0ab\""},
        Case{"vae: {frame_rate: 0}\n", "3: vae.frame_rate: expected a number > 0, got 0"}));

std::string conditions(const std::string& entries) {
  return "clustering:\n  conditions:\n    - " + entries;
}

INSTANTIATE_TEST_SUITE_P(
    Conditions, Rejected,
    testing::Values(
        Case{"clustering: {conditions: []}\n",
             "3: clustering.conditions: expected at least one entry, got none"},
        Case{conditions("{type: mean_pool_vq, k: 3}\n"),
             "5: clustering.conditions.0: key \"name\" is missing"},
        Case{conditions("{name: a, k: 3}\n"), "5: clustering.conditions.0: key \"type\" is missing"},
        Case{conditions("{name: a, type: vq, k: 3}\n"),
             "5: clustering.conditions.0.type: expected one of mean_pool_vq, pca_vq, pca_quartile, got "
             "\"vq\""},
        Case{conditions("{name: a, type: mean_pool_vq}\n"),
             "5: clustering.conditions.0.k: required by type mean_pool_vq, but missing"},
        Case{conditions("{name: a, type: pca_vq, k: 3}\n"),
             "5: clustering.conditions.0.pca_dim: required by type pca_vq, but missing"},
        Case{conditions("{name: a, type: mean_pool_vq, k: 3,\n       pca_dim: 2}\n"),
             "6: clustering.conditions.0.pca_dim: does not belong to type mean_pool_vq"},
        Case{conditions("{name: a, type: pca_quartile, pca_dim: 2, k: 4}\n"),
             "5: clustering.conditions.0.k: does not belong to type pca_quartile"},
        Case{conditions("{name: a, type: pca_quartile, pca_dim: 2, k: 0}\n"),
             "5: clustering.conditions.0.k: expected an integer from 1 to 1000000, got \"0\""},
        Case{conditions("{name: a, type: pca_quartile, pca_dim: 16}\n"),
             "5: clustering.conditions.0.pca_dim: expected an integer from 1 to 15 for type pca_quartile, "
             "got 16"},
        Case{conditions("{name: a, type: mean_pool_vq, k: 1000001}\n"),
             "5: clustering.conditions.0.k: expected an integer from 1 to 1000000, got 1000001"},
        Case{conditions("{name: norm, type: mean_pool_vq, k: 3}\n"),
             "5: clustering.conditions.0.name: \"norm\" is reserved, choose another name"},
        Case{conditions("{name: a, type: mean_pool_vq, k: 3}\n    - {name: a, type: mean_pool_vq, k: 4}\n"),
             "6: clustering.conditions.1.name: \"a\" is taken by clustering.conditions.0"}));

constexpr const char* kFilterWords = "null, energy_above_median, or pos_frac_A_B with 0 <= A <= B <= 1";

INSTANTIATE_TEST_SUITE_P(
    Slices, Rejected,
    testing::Values(
        Case{"slices: []\n", "3: slices: expected at least one entry, got none"},
        Case{"slices:\n  - {filter: null}\n", "4: slices.0: key \"name\" is missing"},
        Case{"slices:\n  - {name: a}\n  - {name: a, filter: energy_above_median}\n",
             "5: slices.1.name: \"a\" is taken by slices.0"},
        Case{"slices: [{name: a, filter: loud}]\n",
             "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got \"loud\""},
        Case{
            "slices: [{name: a, filter: \"null\"}]\n",
            "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got the quoted string \"null\""},
        Case{"slices: [{name: a, filter: pos_frac_0.2}]\n",
             "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got \"pos_frac_0.2\""},
        Case{"slices: [{name: a, filter: pos_frac_0.2_0.4_0.6}]\n",
             "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got \"pos_frac_0.2_0.4_0.6\""},
        Case{"slices: [{name: a, filter: pos_frac_0.8_0.2}]\n",
             "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got \"pos_frac_0.8_0.2\""},
        Case{"slices: [{name: a, filter: pos_frac_0_1.5}]\n",
             "3: slices.0.filter: expected " + std::string(kFilterWords) + ", got \"pos_frac_0_1.5\""}));

TEST(Names, CharactersAndDots) {
  for (const char* bad : {"a b", "a/b", "\"\"", ".", "..", "\"a,b\"", "\"é\""}) {
    const std::string text = "slices: [{name: " + std::string(bad) + "}]\n";
    EXPECT_NE(message_of(text).find("c.yaml:3: slices.0.name: expected a name of 1 to 100 characters"),
              std::string::npos)
        << message_of(text);
  }
  EXPECT_NE(
      message_of("slices: [{name: " + std::string(101, 'a') + "}]\n").find("slices.0.name: expected a name"),
      std::string::npos);
  for (const char* good : {"a", "A-b_c.9", "-a", "...a", "64"}) {
    EXPECT_EQ(parse(kMinimal + "slices: [{name: " + good + "}]\n", "c.yaml", {}).slices[0].name, good);
  }
}

TEST(Required, LatentsAndSplits) {
  EXPECT_EQ(std::string(rejection("").what()), "c.yaml: data.latents: a path is required, got none");
  EXPECT_EQ(std::string(rejection("seed: 1\ndata:\n  min_duration_sec: 1\n").what()),
            "c.yaml:2: data.latents: a path is required, got none");
  const std::string either =
      "splits: expected either train_speakers_file and eval_speakers_file, or n_train_speakers and "
      "n_eval_speakers, got ";
  const std::string data = "data: {latents: x}\n";
  EXPECT_EQ(std::string(rejection(data).what()), "c.yaml: " + either + "none of them");
  EXPECT_EQ(std::string(rejection(data + "splits: {n_train_speakers: 3}\n").what()),
            "c.yaml:2: " + either + "n_train_speakers");
  EXPECT_EQ(rejection(data + "splits: {train_speakers_file: a, n_eval_speakers: 3}\n").message(),
            either + "train_speakers_file, n_eval_speakers");
  EXPECT_EQ(rejection(data + "splits: {train_speakers_file: a, eval_speakers_file: b, n_eval_speakers: 3}\n")
                .message(),
            either + "train_speakers_file, eval_speakers_file, n_eval_speakers");
  EXPECT_EQ(rejection(data + "splits: {n_train_speakers: 0, n_eval_speakers: 3}\n").message(),
            "splits.n_train_speakers: expected an integer >= 1, got 0");
}

TEST(Messages, LongAndHostileTextIsTamed) {
  const std::string message = message_of("seed: \"\\e[31m" + std::string(500, 'x') + "\"\n");
  EXPECT_NE(message.find("\\x1b[31mxxx"), std::string::npos) << message;
  EXPECT_LT(message.size(), 250U);
}

}  // namespace
}  // namespace phase0::config
