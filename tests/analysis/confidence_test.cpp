#include "analysis/confidence.h"

#include <gtest/gtest.h>

#include "core/execution.h"
#include "support/resident_memory.h"

namespace phase0::analysis {
namespace {

template <typename T>
store::MappedDataset filled(std::int64_t n, T value) {
  store::MappedDataset data = store::scratch_matrix("/tmp", store::element_type<T>(), n, 1);
  std::fill_n(data.mutable_data<T>(), n, value);
  data.flush(0, n);
  return data;
}

TEST(ConfidenceCuts, OneLongUtteranceTakesNoMoreMemory) {
  if (!test::kFreedMemoryIsGivenBack) GTEST_SKIP() << "resident memory is the sanitizer's";
  const std::int64_t n = 6'000'000;
  data::UtteranceRows utterance;
  utterance.n_rows = utterance.n_frames = n;
  const data::SampleIndex index({utterance});
  const SplitInput split{&index, nullptr, filled<std::uint8_t>(n, 1)};
  CellInput cell;
  cell.n_clusters = 1;
  cell.train = cell.eval = {filled<std::int32_t>(n, 0), filled<float>(n, 0.5F)};
  const std::vector<ClusterTable> tables{ClusterTable(cell, 1)};
  const SliceSet slices({{.name = "all"}});
  core::ThreadPool pool(1);
  core::MemoryBudget memory(std::int64_t{1} << 30, "test");
  Observer observer;
  core::Execution execution{.pool = pool, .memory = memory, .observer = observer};

  core::trim_heap();
  if (!core::reset_peak_rss()) GTEST_SKIP() << "the kernel gives no peak";
  const std::int64_t before = core::current_rss_bytes();
  const auto cuts = confidence_cuts(slices, split, {&cell.train}, tables, execution);
  const std::int64_t taken = core::peak_rss_bytes() - before;
  EXPECT_EQ(cuts.at(0).n_rows, n);
  EXPECT_LE(taken, confidence_cuts_bytes(n) + (std::int64_t{1} << 20));
}

}  // namespace
}  // namespace phase0::analysis
