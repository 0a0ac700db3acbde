#include "data/scan.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>

#include "support/expect_error.h"
#include "support/failing_source.h"

namespace phase0::data {
namespace {

using test::expect_error;
using test::FailingSource;

constexpr std::int64_t kRows = 200'000;  // 13 blocks
constexpr std::int64_t kPlenty = std::int64_t{1} << 30;

class ScanTest : public ::testing::Test {
 protected:
  ScanTest() : source_(matrix_source(numbered())) {}

  static store::MappedDataset numbered() {
    auto dataset = store::scratch_matrix(std::filesystem::temp_directory_path().string(),
                                         store::ElementType::kFloat32, kRows, 1);
    for (std::int64_t i = 0; i < kRows; ++i) dataset.mutable_data<float>()[i] = static_cast<float>(i % 1000);
    return dataset;
  }

  /// Room for `in_flight` blocks of 1000 bytes each and no more.
  struct Machine {
    Machine(int threads, std::int64_t free_bytes)
        : pool(threads),
          memory(core::MemoryBudget::kBaseBytes + free_bytes, "test"),
          execution{pool, memory, observer, nullptr, &tuning} {}
    core::ThreadPool pool;
    core::MemoryBudget memory;
    Observer observer;
    core::TuningTable tuning;
    core::Execution execution;
  };

  /// Sums the values by block, in block order; checks slots, workers and order on the way.
  static double sum(const FeatureSource& source, ScanRoom& room) {
    std::vector<double> partial(static_cast<std::size_t>(room.slots()), -1);
    double total = 0;
    std::int64_t next = 0;
    scan(
        source, room, "test",
        [&](std::int64_t block, std::int64_t slot, int worker, const FeatureBlock& data) {
          EXPECT_EQ(data.first_row, source.block_first(block));
          EXPECT_LT(slot, room.slots());
          EXPECT_LT(worker, room.workers());
          double value = 0;
          for (std::int64_t r = 0; r < data.n_rows; ++r) value += static_cast<double>(data.matrix()[r]);
          partial[static_cast<std::size_t>(slot)] = value;
        },
        [&](std::int64_t first, std::int64_t n) {
          EXPECT_EQ(first, next);
          next += n;
          for (std::int64_t slot = 0; slot < n; ++slot) total += partial[static_cast<std::size_t>(slot)];
        });
    EXPECT_EQ(next, source.n_blocks());
    return total;
  }

  static double sum_chunks(const FeatureSource& source, ScanRoom& room) {
    double total = 0;
    std::int64_t next = 0;
    scan_chunks(source, room, "test", [&](std::int64_t first, std::vector<FeatureBlock>& chunk) {
      EXPECT_EQ(first, next);
      EXPECT_LE(std::ssize(chunk), room.slots());
      next += std::ssize(chunk);
      for (const FeatureBlock& block : chunk) {
        for (std::int64_t r = 0; r < block.n_rows; ++r) total += static_cast<double>(block.matrix()[r]);
      }
    });
    EXPECT_EQ(next, source.n_blocks());
    return total;
  }

  double expected() const { return kRows / 1000 * (999.0 * 1000 / 2); }

  std::unique_ptr<FeatureSource> source_;
};

TEST_F(ScanTest, VisitsEveryBlockOnceInOrderWhateverIsInFlight) {
  for (const int threads : {1, 3}) {
    for (const std::int64_t in_flight : {1, 2, 7, 100}) {
      Machine machine(threads, 1000 * in_flight);
      ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
      EXPECT_LE(room.slots(), in_flight);
      EXPECT_EQ(sum(*source_, room), expected());
      EXPECT_EQ(sum_chunks(*source_, room), expected());
    }
  }
}

TEST_F(ScanTest, OneRoomServesManyPassesAndGivesItsMemoryBack) {
  Machine machine(2, kPlenty);
  {
    ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
    EXPECT_GT(machine.memory.reserved_bytes(), 0);
    for (int pass = 0; pass < 20; ++pass) EXPECT_EQ(sum(*source_, room), expected());
  }
  EXPECT_EQ(machine.memory.reserved_bytes(), 0);
}

TEST_F(ScanTest, FewerWorkersWhereMemoryDoesNotAllowAllTheirCopies) {
  Machine machine(4, 2500);
  {
    ScanRoom room(machine.execution, {0, 0, 1000}, "test", source_->shape());
    EXPECT_EQ(room.workers(), 2);
    EXPECT_EQ(sum(*source_, room), expected());
  }
  EXPECT_EQ(machine.pool.size(), 4);
  expect_error(ErrorKind::kMemory, "test", [&] {
    ScanRoom(machine.execution, {0, 0, 2501}, "test", source_->shape());
  });
}

TEST_F(ScanTest, AFailedAllocationIsTriedAgainWithFewerInFlight) {
  for (const std::int64_t failing : {0, 1, 5, 12}) {
    Machine machine(2, kPlenty);
    const FailingSource source(*source_, [&](std::int64_t load) { return load == failing; });
    ScanRoom room(machine.execution, {0, 1000, 0}, "test", source.shape());
    EXPECT_EQ(sum(source, room), expected());
    EXPECT_LT(room.blocks(), 4);
  }
  for (const std::int64_t failing : {0, 1, 5, 12}) {
    Machine machine(2, kPlenty);
    const FailingSource source(*source_, [&](std::int64_t load) { return load == failing; });
    ScanRoom room(machine.execution, {0, 1000, 0}, "test", source.shape());
    EXPECT_EQ(sum_chunks(source, room), expected());
  }
}

TEST_F(ScanTest, AtOneBlockItGivesUpWithTheFigures) {
  Machine machine(2, kPlenty);
  const FailingSource source(*source_, [](std::int64_t load) { return load > 6; });
  ScanRoom room(machine.execution, {5000, 1000, 0}, "the sums", source.shape());
  expect_error(ErrorKind::kMemory, "the sums asked for 5.9 KiB with one block in flight",
               [&] { sum(source, room); });
}

TEST_F(ScanTest, OtherFailuresAreNotTriedAgain) {
  Machine machine(1, kPlenty);
  std::int64_t n_calls = 0;
  ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
  expect_error(ErrorKind::kData, "bad", [&] {
    scan(*source_, room, "test", [&](std::int64_t, std::int64_t, int, const FeatureBlock&) {
      ++n_calls;
      throw Error(ErrorKind::kData, "bad");
    });
  });
  EXPECT_EQ(n_calls, 1);
}

TEST_F(ScanTest, FinishIsNeverRepeated) {
  Machine machine(1, kPlenty);
  std::int64_t n_calls = 0;
  ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
  EXPECT_THROW(scan_chunks(*source_, room, "test",
                           [&](std::int64_t, std::vector<FeatureBlock>&) {
                             ++n_calls;
                             throw std::bad_alloc();
                           }),
               std::bad_alloc);
  EXPECT_EQ(n_calls, 1);
}

TEST_F(ScanTest, TheTableGivesTheStartAndKeepsWhatWasLearnt) {
  Machine machine(1, kPlenty);
  const auto blocks = [&](const char* name) {
    return ScanRoom(machine.execution, {0, 1000, 0}, name, source_->shape()).blocks();
  };
  EXPECT_EQ(blocks("a"), 2);
  ASSERT_EQ(machine.tuning.size(), 1u);
  machine.tuning.begin()->second = 5;
  EXPECT_EQ(blocks("a"), 5);
  EXPECT_EQ(blocks("b"), 2);
  machine.tuning.begin()->second = -7;  // from a file that anyone may edit
  EXPECT_EQ(blocks("a"), 1);
  machine.tuning.begin()->second = 1'000'000;
  EXPECT_EQ(blocks("a"), 13);
}

TEST_F(ScanTest, TheTableKeepsItsStartWhenMemoryRanOutOrTheScanFailed) {
  Machine machine(1, kPlenty);
  {
    ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
    EXPECT_EQ(sum(*source_, room), expected());
  }
  ASSERT_EQ(machine.tuning.size(), 1u);
  machine.tuning.begin()->second = 8;
  {
    const test::FailingSource failing(*source_, [](std::int64_t load) { return load < 2; });
    ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
    EXPECT_EQ(sum(failing, room), expected());
    EXPECT_LT(room.blocks(), 8);  // for this scan
  }
  EXPECT_EQ(machine.tuning.begin()->second, 8);
  machine.tuning.begin()->second = 1'000'000;  // would be clipped to the ceiling
  EXPECT_THROW(
      {
        ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
        scan_chunks(*source_, room, "test", [](std::int64_t, std::vector<FeatureBlock>&) {
          throw Error(ErrorKind::kInterrupted, "test");
        });
      },
      Error);
  EXPECT_EQ(machine.tuning.begin()->second, 1'000'000);
}

TEST_F(ScanTest, KeepsLessInFlightUnderPressure) {
  core::MemoryMonitor monitor(100, [] { return core::MemoryReading{.rss_anon = 90}; });
  monitor.sample();
  Machine machine(2, kPlenty);
  machine.execution.monitor = &monitor;
  ScanRoom room(machine.execution, {0, 1000, 0}, "test", source_->shape());
  machine.tuning.clear();
  std::int64_t most = 0;
  for (int pass = 0; pass < 10; ++pass) {
    scan_chunks(*source_, room, "test", [&](std::int64_t, std::vector<FeatureBlock>& chunk) {
      most = std::max<std::int64_t>(most, std::ssize(chunk));
    });
  }
  EXPECT_LE(most, room.slots() / 2);
}

/// Says which rows it was asked to read ahead.
class AheadSource final : public FeatureSource {
 public:
  explicit AheadSource(const FeatureSource& base)
      : FeatureSource(base.n_rows(), base.window(), base.frame_dim()), base_(base) {}
  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    base_.load(first, n, out);
  }
  void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                 bool were_read_ahead, FeatureBlock& out) const override {
    base_.load_rows(first, n, wanted, were_read_ahead, out);
    const std::lock_guard lock(mutex_);
    if (were_read_ahead) taken_.insert(first);
  }
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const override {
    EXPECT_GT(limit_bytes, 0);
    base_.read_ahead(first, n, limit_bytes);
    const std::lock_guard lock(mutex_);
    asked_.insert(first);
  }
  void drop_ahead() const override {
    base_.drop_ahead();
    ++n_drops_;
  }
  std::int64_t block_bytes() const override { return base_.block_bytes(); }
  std::int64_t ahead_bytes() const override { return base_.ahead_bytes(); }
  const std::set<std::int64_t>& asked() const { return asked_; }
  const std::set<std::int64_t>& taken() const { return taken_; }
  int n_drops() const { return n_drops_; }

 private:
  const FeatureSource& base_;
  mutable std::mutex mutex_;
  mutable std::set<std::int64_t> asked_, taken_;
  mutable int n_drops_ = 0;
};

TEST_F(ScanTest, ReadsAheadWhatThePageCacheCannotHold) {
  for (const std::int64_t cache : {4 * kRows, 4 * kRows - 1}) {
    Machine machine(2, kPlenty);
    machine.execution.page_cache_bytes = cache;
    const AheadSource source(*source_);
    ScanRoom room(machine.execution, scan_need(source.shape()), "test", source.shape());
    EXPECT_EQ(sum(source, room), expected());
    EXPECT_EQ(sum_chunks(source, room), expected());
    const bool holds = cache >= 4 * kRows;
    EXPECT_EQ(std::ssize(source.asked()), holds ? 0 : source.n_blocks());
    EXPECT_EQ(source.n_drops(), holds ? 0 : 2);
  }
}

TEST_F(ScanTest, RowsThatAreWantedAreLoadedAndBlocksReadAheadAreTaken) {
  for (const std::int64_t cache : {4 * kRows, 4 * kRows - 1}) {
    Machine machine(2, kPlenty);
    machine.execution.page_cache_bytes = cache;
    const AheadSource source(*source_);
    ScanRoom room(machine.execution, scan_need(source.shape()), "test", source.shape());
    std::atomic<std::int64_t> n_loaded = 0;
    scan_rows(source, room, "test", [&](std::int64_t block, std::int64_t, int, const RowLoader& load) {
      if (block % 3 == 0) return;  // settled, all of it
      const std::int32_t wanted[] = {2, 3, 700};
      const FeatureBlock& rows = load(wanted);
      ASSERT_EQ(rows.n_rows, 3);
      for (int i = 0; i < 3; ++i) {
        const std::int64_t row = source.block_first(block) + wanted[i];
        EXPECT_EQ(rows.matrix()[i], static_cast<float>(row % 1000));
      }
      ++n_loaded;
    });
    EXPECT_EQ(n_loaded, 8);
    EXPECT_EQ(std::ssize(source.taken()), cache >= 4 * kRows ? 0 : source.n_blocks());
    EXPECT_EQ(source.asked(), source.taken());
  }
}

TEST_F(ScanTest, ForgetsWhatWasReadAheadWhenItTriesAgain) {
  Machine machine(2, kPlenty);
  machine.execution.page_cache_bytes = 0;
  const AheadSource ahead(*source_);
  const FailingSource source(ahead, [](std::int64_t load) { return load == 5; });
  ScanRoom room(machine.execution, scan_need(source.shape()), "test", source.shape());
  EXPECT_EQ(sum(source, room), expected());
  EXPECT_EQ(ahead.n_drops(), 2);
}

TEST_F(ScanTest, StopsBetweenChunksWhenAsked) {
  class Impatient : public Observer {
    bool stop_requested() const override { return true; }
  };
  Impatient observer;
  core::ThreadPool pool(1);
  core::MemoryBudget memory(kPlenty, "test");
  core::Execution execution{pool, memory, observer};
  ScanRoom room(execution, {0, 1000, 0}, "test", source_->shape());
  expect_error(ErrorKind::kInterrupted, "interrupted", [&] { sum(*source_, room); });
}

}  // namespace
}  // namespace phase0::data
