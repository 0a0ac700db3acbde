#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/random.h"
#include "data/feature_source.h"
#include "store/mapped.h"

/// Small data for the tests of the models.
namespace phase0::models::testing {

inline std::string scratch_folder() {
  return std::filesystem::temp_directory_path().string();
}

/// An Execution that owns what it refers to.
struct Machine {
  explicit Machine(int threads, std::int64_t budget_bytes = std::int64_t{4} << 30)
      : pool(threads), memory(budget_bytes, "test"), execution{pool, memory, observer} {}
  core::ThreadPool pool;
  core::MemoryBudget memory;
  Observer observer;
  core::Execution execution;
};

inline std::vector<float> normals(std::int64_t n, std::uint64_t seed, double scale = 1, double offset = 0) {
  core::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(offset + scale * random.normal());
  return values;
}

inline store::MappedDataset matrix(const std::vector<float>& values, std::int64_t columns) {
  auto dataset = store::scratch_matrix(scratch_folder(), store::ElementType::kFloat32,
                                       std::ssize(values) / columns, columns);
  std::copy(values.begin(), values.end(), dataset.mutable_data<float>());
  return dataset;
}

/// Utterances of the given lengths over consecutive frames, rows from `first_t` on.
inline data::SampleIndex index_of(const std::vector<std::int64_t>& n_frames, std::int64_t first_t) {
  std::vector<data::UtteranceRows> rows;
  std::int64_t offset = 0;
  for (std::size_t u = 0; u < n_frames.size(); ++u) {
    if (n_frames[u] > first_t) {
      data::UtteranceRows entry;
      entry.utterance = static_cast<std::int32_t>(u);
      entry.frame_offset = offset;
      entry.n_frames = n_frames[u];
      entry.first_t = first_t;
      entry.n_rows = n_frames[u] - first_t;
      rows.push_back(entry);
    }
    offset += n_frames[u];
  }
  return data::SampleIndex(std::move(rows));
}

}  // namespace phase0::models::testing
