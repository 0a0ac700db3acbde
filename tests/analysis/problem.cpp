#include "analysis/problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/random.h"

namespace phase0::analysis::testing {
namespace {

class MemorySource final : public data::FeatureSource {
 public:
  MemorySource(const std::vector<float>& values, std::int64_t dim)
      : FeatureSource(static_cast<std::int64_t>(values.size()) / dim, 1, dim), values_(values) {}
  void load(std::int64_t first, std::int64_t n, data::FeatureBlock& out) const override {
    PHASE0_CHECK(first >= 0 && n > 0 && first + n <= n_rows());
    out.first_row = first;
    out.n_rows = out.n_frames = n;
    out.window = 1;
    out.frame_dim = frame_dim();
    out.frames.resize(n * frame_dim());
    std::memcpy(out.frames.data(), values_.data() + first * frame_dim(),
                static_cast<std::size_t>(n * frame_dim()) * sizeof(float));
  }
  std::int64_t block_bytes() const override { return block_rows() * frame_dim() * 4; }
  std::int64_t ahead_bytes() const override { return 0; }

 private:
  const std::vector<float>& values_;
};

/// Speakers in turn, the last one only once; lengths 8 .. 47, the first row at t = 5.
data::SampleIndex make_index(const Shape& shape, core::Random& random) {
  std::vector<data::UtteranceRows> utterances;
  for (std::int64_t u = 0; u < shape.utterances; ++u) {
    data::UtteranceRows rows;
    rows.utterance = static_cast<std::int32_t>(u);
    const std::int64_t speaker = u == 3 ? shape.speakers - 1 : u * 7 % (shape.speakers - 1);
    rows.speaker = static_cast<std::int32_t>(speaker);
    rows.first_t = 5;
    rows.n_rows = 3 + static_cast<std::int64_t>(random.below(40));
    rows.n_frames = rows.first_t + rows.n_rows;
    utterances.push_back(rows);
  }
  return data::SampleIndex(std::move(utterances));
}

/// Cluster k is drawn with weight about 1 / (k + 1), the last one far less.
std::int32_t draw_id(std::int64_t n_clusters, core::Random& random) {
  if (random.below(60) == 0) return static_cast<std::int32_t>(n_clusters - 1);
  const auto first = random.below(static_cast<std::uint64_t>(n_clusters - 1));
  return static_cast<std::int32_t>(random.below(first + 1));
}

void fill_rows(TestSplit& split, const Shape& shape, core::Random& random) {
  for (const auto& u : split.index.utterances()) {
    for (std::int64_t t = u.first_t; t < u.n_frames; ++t) {
      split.speaker.push_back(u.speaker);
      split.pos_frac.push_back(static_cast<double>(t) / static_cast<double>(u.n_frames));
      split.high_energy.push_back(static_cast<std::uint8_t>(random.below(2)));
      const std::int32_t a = draw_id(6, random);
      const std::int32_t b = random.below(3) == 0 ? draw_id(9, random) : a;
      split.ids[0].push_back(a);
      split.ids[1].push_back(b);
      for (auto& distances : split.distances)
        distances.push_back(static_cast<float>(random.below(8)) * 0.25F);
      for (std::int64_t j = 0; j < shape.dim; ++j) {
        const double centre = shape.signal * std::sin(static_cast<double>((a + 1) * (j + 3)));
        split.delta.push_back(static_cast<float>(2 + 0.3 * (centre + random.normal() + 0.2 * u.speaker)));
      }
    }
  }
}

void make_split(TestSplit& split, const Shape& shape, core::Random& random) {
  split.ids.resize(2);
  split.distances.resize(2);
  split.index = make_index(shape, random);
  fill_rows(split, shape, random);
  split.source = std::make_unique<MemorySource>(split.delta, shape.dim);
}

SplitInput split_input(const TestSplit& split) {
  return {&split.index, split.source.get(), mapped(split.high_energy)};
}

void set_normaliser(const TestSplit& train, std::int64_t dim, std::vector<double>& mu,
                    std::vector<double>& sigma) {
  const auto n = static_cast<double>(train.n_rows());
  for (std::int64_t j = 0; j < dim; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < train.n_rows(); ++i) sum += static_cast<double>(train.delta[i * dim + j]);
    double squares = 0;
    for (std::int64_t i = 0; i < train.n_rows(); ++i) {
      squares += std::pow(static_cast<double>(train.delta[i * dim + j]) - sum / n, 2);
    }
    mu.push_back(sum / n);
    sigma.push_back(std::max(std::sqrt(squares / n), 1e-6));
  }
}

}  // namespace

Problem::Problem(const Shape& shape) {
  core::Random random(shape.seed);
  make_split(train, shape, random);
  make_split(eval, shape, random);
  options.seed = 11;
  options.context.lags = {1, 2};
  options.clustering.min_cluster_size = 30;
  options.clustering.conditions = {{"first", ConditionType::kMeanPoolVq, 6, 0},
                                   {"second", ConditionType::kPcaVq, 9, 4}};
  options.slices = {{"all", SliceFilterKind::kAll, 0, 1},
                    {"loud", SliceFilterKind::kEnergyAboveMedian, 0, 1},
                    {"never", SliceFilterKind::kPosFrac, 0.0, 0.0},
                    {"middle", SliceFilterKind::kPosFrac, 0.4, 0.75}};
  options.metrics.permutations = 5;
  input.train = split_input(train);
  input.eval = split_input(eval);
  set_normaliser(train, shape.dim, mu, input.sigma);
  for (std::int64_t s = 0; s < shape.speakers; ++s)
    input.speaker_names.push_back("speaker" + std::to_string(s));
  for (std::size_t c = 0; c < 2; ++c) {
    CellInput cell;
    cell.condition = options.clustering.conditions[c];
    cell.lag = static_cast<std::int64_t>(c) + 1;
    cell.n_clusters = cell.condition.k;
    cell.train = {mapped(train.ids[c]), mapped(train.distances[c])};
    cell.eval = {mapped(eval.ids[c]), mapped(eval.distances[c])};
    input.cells.push_back(std::move(cell));
  }
}

AnalysisResult run(const Problem& problem, int threads, std::int64_t budget_bytes,
                   RecordingObserver* observer, core::UnitStore* units) {
  RecordingObserver own;
  core::ThreadPool pool(threads);
  core::MemoryBudget memory(budget_bytes, "test");
  core::Execution execution{pool, memory, observer != nullptr ? *observer : own};
  execution.units = units;
  AnalysisResult result = analyze(problem.options, problem.input, execution);
  PHASE0_CHECK(memory.reserved_bytes() == 0);
  return result;
}

}  // namespace phase0::analysis::testing
