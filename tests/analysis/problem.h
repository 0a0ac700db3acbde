#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "analysis/analyze.h"
#include "core/execution.h"

/// A small random analysis problem, held in memory.
namespace phase0::analysis::testing {

/// Rows of a split with everything that is known of each.
struct TestSplit {
  data::SampleIndex index;
  std::vector<float> delta;  ///< [N, D]
  std::vector<std::uint8_t> high_energy;
  std::vector<std::int32_t> speaker;           ///< [N]
  std::vector<double> pos_frac;                ///< [N]
  std::vector<std::vector<std::int32_t>> ids;  ///< [cell][N]
  std::vector<std::vector<float>> distances;   ///< [cell][N]
  std::unique_ptr<data::FeatureSource> source;

  std::int64_t n_rows() const { return index.n_rows(); }
};

struct Shape {
  std::int64_t dim = 70;
  std::int64_t utterances = 40;
  std::int64_t speakers = 6;
  double signal = 1.5;  ///< how far clusters lie apart
  std::uint64_t seed = 1;
};

/// Two cells: (`first`, lag 1, 6 clusters) and (`second`, lag 2, 9 clusters); the last clusters of each are
/// rare. Speakers are interleaved; distances have many ties; the last speaker has few rows.
struct Problem {
  explicit Problem(const Shape& shape = {});
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  Options options;
  TestSplit train;
  TestSplit eval;
  std::vector<double> mu;  ///< [D], of the train deltas
  AnalysisInput input;
};

/// Remembers warnings, and of the tasks the rows that were read.
class RecordingObserver : public Observer {
 public:
  void log(LogLevel level, std::string_view message) override {
    if (level == LogLevel::kWarning) warnings.emplace_back(message);
  }
  void task_begin(std::string_view, std::int64_t total) override { totals.push_back(total); }
  void task_advance(std::int64_t rows, std::int64_t bytes) override { done += bytes > 0 ? rows : 0; }
  bool stop_requested() const override { return stop; }

  std::vector<std::string> warnings;
  std::vector<std::int64_t> totals;
  std::int64_t done = 0;
  bool stop = false;
};

inline constexpr std::int64_t kAmple = std::int64_t{1} << 30;

/// `analyze` with so many threads and bytes.
AnalysisResult run(const Problem& problem, int threads = 1, std::int64_t budget_bytes = kAmple,
                   RecordingObserver* observer = nullptr, core::UnitStore* units = nullptr);

/// The values as a mapped column.
template <typename T>
store::MappedDataset mapped(const std::vector<T>& values) {
  const auto rows = static_cast<std::int64_t>(values.size());
  store::MappedDataset dataset = store::scratch_matrix(std::filesystem::temp_directory_path().string(),
                                                       store::element_type<T>(), rows, 1);
  T* out = dataset.mutable_data<T>();
  std::copy(values.begin(), values.end(), out);
  return dataset;
}

}  // namespace phase0::analysis::testing
