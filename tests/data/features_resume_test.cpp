#include <gtest/gtest.h>

#include <fstream>

#include "data/features_file.h"
#include "store/atomic_file.h"
#include "support/latents_file.h"
#include "support/memory_units.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using test::LatentsFile;
using test::LatentsType;

class Listener : public Observer {
 public:
  void log(LogLevel, std::string_view message) override { (text += message) += "\n"; }
  void task_begin(std::string_view name, std::int64_t total) override {
    task = name;
    if (task == "staging frames") staged = total;
  }
  void task_advance(std::int64_t, std::int64_t) override { stop = stop || stop_at == task; }
  bool stop_requested() const override { return stop; }
  bool says(std::string_view what) const { return text.find(what) != std::string::npos; }
  std::string text, task;
  std::string stop_at;  ///< a task, after its first step
  std::int64_t staged = 0;
  bool stop = false;
};

/// float64, so that the frames are staged, in three blocks; rows of several blocks in each split.
class FeaturesResume : public ::testing::TestWithParam<Storage> {
 protected:
  FeaturesResume() {
    LatentsFile file{.ids = {"a", "b", "c", "d"},
                     .speakers = {"s1", "s2", "s1", "s3"},
                     .lengths = {9'000, 10'000, 8'500, 9'500},
                     .dim = 64,
                     .type = LatentsType::kFloat64};
    latents_path_ = file.write_in(folder_, true);
    options_.data.latents = latents_path_;
    options_.data.min_duration_sec = 0;
    options_.splits.n_train_speakers = 2;
    options_.splits.n_eval_speakers = 1;
    options_.splits.utt_holdout_frac = 0;
    options_.context.window_size = 2;
    options_.context.lags = {1};
    options_.features.storage = GetParam();
    write(undisturbed_, nullptr, 2);
  }

  /// With the units of `units`; false when it failed as `expected_`.
  bool write(const std::string& path, core::UnitStore* units, int threads, const std::string& key = "k") {
    listener_.text.clear();
    listener_.staged = 0;
    listener_.stop = false;
    core::ThreadPool pool(threads);
    core::MemoryBudget memory(std::int64_t{1} << 30, "test");
    core::Execution execution{pool, memory, listener_};
    execution.units = units;
    const Latents latents = Latents::open(latents_path_);
    const std::vector<std::uint8_t> none(latents.utterances().size(), 0);
    const SplitPlan plan =
        plan_splits(options_, latents.utterances(), latents.frame_rate_hz(), none, listener_);
    try {
      write_features(path, options_, latents, plan, execution, key);
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), expected_) << error.what();
      failure_ = error.what();
      return false;
    }
  }
  /// Killed once `n` units are saved, of which the first is the energy median.
  void kill_at_save(int n) {
    units_.saves_left = n;
    ASSERT_FALSE(write(path_, &units_, 2));
  }
  static std::string contents(const std::string& path) {
    return store::read_file(path, std::int64_t{1} << 30);
  }
  void expect_finished() const {
    EXPECT_EQ(contents(path_) == contents(undisturbed_), true);
    EXPECT_FALSE(std::filesystem::exists(partial_));
    EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
  }
  void flip(std::int64_t offset) const {
    std::fstream file(partial_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(offset);
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(offset);
    file.put(byte);
    ASSERT_TRUE(file.good());
  }
  std::int64_t offset_of(const std::string& dataset) const {
    return store::H5Reader(partial_).info(dataset).offset;
  }

  test::TemporaryFolder folder_;
  test::MemoryUnits units_;
  Listener listener_;
  ErrorKind expected_ = ErrorKind::kInterrupted;
  std::string failure_;
  std::string latents_path_;
  Options options_;
  std::string path_ = folder_.file("features.h5");
  std::string partial_ = path_ + ".partial";
  std::string undisturbed_ = folder_.file("undisturbed.h5");
};

TEST_P(FeaturesResume, AFailedRenameIsToldAsSuchAndNothingIsDoneAgain) {
  units_.interval = 3600;
  std::filesystem::create_directories(path_ + "/in the way");
  expected_ = ErrorKind::kStorage;
  EXPECT_FALSE(write(path_, &units_, 2));
  EXPECT_NE(failure_.find("cannot rename"), std::string::npos) << failure_;
  std::filesystem::remove_all(path_);
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_EQ(listener_.staged, 0);
  expect_finished();
}

TEST_P(FeaturesResume, KilledAtEveryCheckpointGivesTheSameBytes) {
  int kills = 0;
  std::int64_t staged = 37'000 + 1;
  for (;; ++kills) {
    ASSERT_LT(kills, 100);
    units_.saves_left = 1;
    if (write(path_, &units_, 1 + kills % 2)) break;
    if (kills == 0) continue;  // the energy median, before there is a file
    EXPECT_EQ(listener_.says("staging frames: "), kills > 1);
    // Goes on, and does nothing twice.
    EXPECT_TRUE(listener_.staged < staged || staged == 0) << listener_.staged;
    staged = listener_.staged;
    // It opens, whatever is in it yet.
    EXPECT_EQ(store::H5Reader(partial_).read_string("/", "format"), "phase0-features");
    EXPECT_FALSE(std::filesystem::exists(path_));
  }
  // The median, three blocks of frames, four utterances, and with storage dense blocks of each split.
  EXPECT_GE(kills, GetParam() == Storage::kDense ? 10 : 8);
  expect_finished();
}

TEST_P(FeaturesResume, DamagedRowsStartOver) {
  kill_at_save(5);
  flip(offset_of("/frames") + 100'000);
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_TRUE(listener_.says("starts over, /frames is damaged"));
  expect_finished();
}

TEST_P(FeaturesResume, RowsBehindTheFinishedOnesDoNotMatter) {
  kill_at_save(2);
  flip(offset_of("/frames") + 4 * 64 * 36'999);
  flip(offset_of("/train/rows/t"));
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_FALSE(listener_.says("starts over"));
  expect_finished();
}

TEST_P(FeaturesResume, AnotherPartialFileStartsOver) {
  kill_at_save(5);
  flip(offset_of("/utterances/n_frames"));
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_TRUE(listener_.says("starts over, the partial file is not the one"));
  expect_finished();

  kill_at_save(5);
  std::filesystem::resize_file(partial_, std::filesystem::file_size(partial_) - 1);
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_TRUE(listener_.says("starts over"));
  expect_finished();

  kill_at_save(5);
  std::filesystem::remove(partial_);
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_TRUE(listener_.says("starts over"));
  expect_finished();
}

TEST_P(FeaturesResume, AnotherKeyStartsOver) {
  kill_at_save(5);
  EXPECT_TRUE(write(path_, &units_, 2, "other"));
  EXPECT_EQ(listener_.staged, 37'000);
  expect_finished();
}

TEST_P(FeaturesResume, WithoutAStoreThePartialFileGoes) {
  kill_at_save(2);
  EXPECT_TRUE(std::filesystem::exists(partial_));
  EXPECT_TRUE(write(path_, nullptr, 2));
  EXPECT_EQ(listener_.staged, 37'000);
  expect_finished();
}

TEST_P(FeaturesResume, AStoreThatKeepsNothingLeavesNoPartialFile) {
  class Forgetful final : public core::UnitStore {
   public:
    bool load(const core::UnitId&, const Read&) override { return false; }
    bool save(const core::UnitId& unit, const Write&) override {
      if (unit.name == "collect: progress") throw Error(ErrorKind::kInterrupted, "stopped");
      return false;
    }
    void drop(const core::UnitId&) override {}
    double interval_seconds() const override { return 0; }
  } forgetful;
  ASSERT_FALSE(write(path_, &forgetful, 2));
  EXPECT_FALSE(std::filesystem::exists(partial_));
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_P(FeaturesResume, AnInterruptedStartKeepsWhatItHas) {
  units_.interval = 3600;
  listener_.stop_at = "staging frames";
  ASSERT_FALSE(write(path_, &units_, 2));
  EXPECT_TRUE(std::filesystem::exists(partial_));
  listener_.stop_at.clear();
  EXPECT_TRUE(write(path_, &units_, 2));
  EXPECT_TRUE(listener_.says("staging frames: 16384 of 37000 rows are there"));
  expect_finished();
}

INSTANTIATE_TEST_SUITE_P(Storages, FeaturesResume, ::testing::Values(Storage::kWindow, Storage::kDense),
                         [](const auto& info) {
                           return std::string(info.param == Storage::kDense ? "Dense" : "Window");
                         });

}  // namespace
}  // namespace phase0::data
