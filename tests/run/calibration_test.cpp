#include "run/calibration.h"

#include <gtest/gtest.h>

#include <fstream>

#include "run/session_options.h"
#include "store/atomic_file.h"
#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

class CalibrationTest : public ::testing::Test {
 protected:
  CalibrationTest() { store::write_file_atomically(input_, std::string(std::size_t{3} << 20, 'x')); }

  static bool sound(const Calibration& rates) {
    bool positive = rates.cold_read_bytes_per_second > 0 && rates.warm_read_bytes_per_second > 0 &&
                    rates.write_bytes_per_second > 0;
    for (const double seconds : rates.seconds_per_unit) positive = positive && seconds > 0 && seconds < 1e-4;
    return positive;
  }
  std::string kept() const { return store::read_file(cache_, std::int64_t{1} << 20); }

  test::TemporaryFolder folder_;
  const std::string input_ = folder_.file("input");
  const std::string cache_ = folder_.file("made/if/need/be/calibration.json");
  Observer observer_;
  Session session_{test::session_options(folder_.file("run")), observer_};
};

TEST_F(CalibrationTest, IsMeasuredOnceAndKept) {
  const auto first = calibration(session_, input_, cache_);
  ASSERT_TRUE(first);
  EXPECT_TRUE(sound(*first));
  const std::string text = kept();
  const auto again = calibration(session_, input_, cache_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->seconds_per_unit, first->seconds_per_unit);
  EXPECT_EQ(again->cold_read_bytes_per_second, first->cold_read_bytes_per_second);
  EXPECT_EQ(kept(), text);
  EXPECT_FALSE(std::filesystem::exists(folder_.file("run")));
}

TEST_F(CalibrationTest, OtherThreadsAreAnotherMachine) {
  calibration(session_, input_, cache_);
  const std::string text = kept();
  Options options = test::session_options(folder_.file("run"));
  options.compute.threads = 1;
  Session one(options, observer_);
  calibration(one, input_, cache_);
  EXPECT_GT(kept().size(), text.size() + 200);  // both
}

TEST_F(CalibrationTest, MoreWorkersThanProcessorsAreNotFaster) {
  const int cpus = core::available_threads().count;
  if (cpus > 8) GTEST_SKIP() << "would take " << 8 * cpus << " threads";
  Options options = test::session_options(folder_.file("run"));
  options.memory.budget_bytes = std::int64_t{1} << 30;
  const auto product_seconds = [&](int threads) {
    options.compute.threads = threads;
    Session session(options, observer_);
    const auto rates = calibration(session, input_, "");
    return rates ? rates->seconds_per_unit[static_cast<std::size_t>(Operation::kFloatProduct)] : 0;
  };
  const double one_each = product_seconds(cpus);
  ASSERT_GT(one_each, 0);
  EXPECT_GT(product_seconds(8 * cpus), one_each / 3);
}

TEST_F(CalibrationTest, DamagedCachesAreMeasuredAnew) {
  calibration(session_, input_, cache_);
  const std::string good = kept();
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[1, 2]"), std::string("{\"version\": 3}"),
        with("\"version\": 3", "\"version\": 99"), with("\"mean\": ", "\"mean\": -"),
        with("\"draw\"", "\"drawn\""), with("\"near_add\": ", "\"near_add\": \"fast\", \"x\": ")}) {
    std::ofstream(cache_) << text;
    const auto rates = calibration(session_, input_, cache_);
    ASSERT_TRUE(rates) << text;
    EXPECT_TRUE(sound(*rates)) << text;
    EXPECT_NE(kept(), text);
    EXPECT_NE(kept().find("\"draw\""), std::string::npos) << text;
  }
}

TEST_F(CalibrationTest, ACacheThatCannotBeWrittenIsNone) {
  const auto rates = calibration(session_, input_, input_ + "/calibration.json");  // a file for a folder
  ASSERT_TRUE(rates);
  EXPECT_TRUE(calibration(session_, input_, ""));
}

TEST_F(CalibrationTest, WithoutRoomOrInputThereIsNone) {
  Session small(test::session_options(folder_.file("run"), core::MemoryBudget::kBaseBytes + 1000), observer_);
  EXPECT_FALSE(calibration(small, input_, cache_));
  EXPECT_FALSE(calibration(session_, folder_.file("gone"), cache_));
  EXPECT_FALSE(std::filesystem::exists(cache_));
}

TEST(SecondsOf, AddsUpWhatIsCounted) {
  Calibration rates;
  rates.cold_read_bytes_per_second = 100;
  rates.warm_read_bytes_per_second = 1000;
  rates.write_bytes_per_second = 50;
  rates.seconds_per_unit.fill(0.5);
  Work work;
  work.add(Operation::kSum, {2, 4, 8});
  work.add(Operation::kDraw, 2);
  work.bytes_read = {1000, 2000, 4000};
  work.bytes_written = 100;
  work.bytes_input = 300;
  const Range seconds = seconds_of(work, rates);
  EXPECT_NEAR(seconds.min, 0.05 + 1 + 1 + 1, 1e-9);
  EXPECT_NEAR(seconds.expected, 0.05 + 2 + 1 + 2 + 2, 1e-9);
  EXPECT_NEAR(seconds.max, 0.05 + 4 + 1 + 4 + 2 + 3, 1e-9);
}

}  // namespace
}  // namespace phase0::run
