#include "run/stage_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "phase0/error.h"
#include "run/journal.h"
#include "store/file_system.h"
#include "store/mapped.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace {
bool fail_write_back = false;
}

/// In place of the C library's for all that is linked into this program.
extern "C" int sync_file_range(int file, off64_t offset, off64_t size, unsigned flags) {
  if (fail_write_back) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_sync_file_range, file, offset, size, flags));
}

namespace phase0::run {
namespace {

class Messages : public Observer {
 public:
  void log(LogLevel level, std::string_view message) override {
    if (level == LogLevel::kWarning) ++n_warnings;
    text += message;
  }
  int n_warnings = 0;
  std::string text;
};

class StageCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (store::lies_in_memory(folder_.path())) GTEST_SKIP() << "a run directory in memory keeps nothing";
  }
  StageCache cache(bool fresh = false) { return {directory_, "fit", 0, fresh, messages_}; }
  static void save(StageCache& cache, const core::UnitId& unit, double value) {
    cache.save(unit, [&](core::ByteSink& sink) { sink.put(value); });
  }
  static std::optional<double> load(StageCache& cache, const core::UnitId& unit) {
    double value = 0;
    if (!cache.load(unit, [&](core::ByteSource& source) { value = source.get<double>(); })) return {};
    return value;
  }
  std::filesystem::path only_file() const {
    return std::filesystem::directory_iterator(directory_.file("cache/fit"))->path();
  }

  test::TemporaryFolder folder_;
  RunDirectory directory_{folder_.path()};
  Messages messages_;
};

TEST_F(StageCacheTest, KeepsOneVersionOfAName) {
  StageCache units = cache();
  EXPECT_FALSE(load(units, {"a", "k1"}));
  save(units, {"a", "k1"}, 1.5);
  save(units, {"b", "k1"}, 2.5);
  EXPECT_EQ(load(units, {"a", "k1"}), 1.5);
  EXPECT_EQ(messages_.text, "");
  EXPECT_FALSE(load(units, {"a", "k2"}));
  EXPECT_NE(messages_.text.find("a: kept for another"), std::string::npos);
  save(units, {"a", "k2"}, 3.5);
  StageCache later = cache();
  EXPECT_EQ(load(later, {"a", "k2"}), 3.5);
  EXPECT_EQ(load(later, {"b", "k1"}), 2.5);
  later.drop({"b", "k1"});
  EXPECT_FALSE(load(later, {"b", "k1"}));
  StageCache fresh = cache(true);
  EXPECT_FALSE(load(fresh, {"a", "k2"}));
  EXPECT_FALSE(std::filesystem::exists(directory_.file("cache")));
}

TEST_F(StageCacheTest, DamagedUnitsAreToldAndGone) {
  StageCache units = cache();
  save(units, {"a", "k"}, 1.5);
  std::filesystem::resize_file(only_file(), std::filesystem::file_size(only_file()) - 1);
  EXPECT_FALSE(load(units, {"a", "k"}));
  EXPECT_EQ(messages_.n_warnings, 1);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.file("cache/fit")));
}

TEST_F(StageCacheTest, WhatCannotBeKeptIsToldOnceAndDoneWithout) {
  std::ofstream(directory_.file("cache")) << "in the way";
  StageCache units = cache();
  save(units, {"a", "k"}, 1.5);
  save(units, {"b", "k"}, 1.5);
  EXPECT_EQ(messages_.n_warnings, 1);
  EXPECT_FALSE(load(units, {"a", "k"}));
}

TEST_F(StageCacheTest, AUnitThatCannotBeKeptTouchesNoOther) {
  StageCache units = cache();
  save(units, {"a", "k"}, 1.5);
  const std::string in_the_way = only_file().string() + ".partial";
  std::filesystem::create_directory(in_the_way);
  EXPECT_FALSE(units.save({"a", "k"}, [](core::ByteSink&) {}));
  EXPECT_EQ(load(units, {"a", "k"}), 1.5);
  std::filesystem::remove(in_the_way);
  EXPECT_TRUE(units.save({"a", "k"}, [](core::ByteSink& sink) { sink.put(2.5); }));
  EXPECT_EQ(load(units, {"a", "k"}), 2.5);
}

/// What is read back from pages that could not be written may be anything, and a checksum of it proves
/// nothing.
TEST_F(StageCacheTest, WhatReliesOnAFailedWriteBackIsNotKept) {
  StageCache units = cache();
  save(units, {"a", "k"}, 1.5);
  {
    store::MappedDataset scratch = store::scratch_matrix(folder_.path(), store::ElementType::kFloat32, 1, 1);
    *scratch.mutable_data<float>() = 1;
    fail_write_back = true;
    test::expect_error(ErrorKind::kStorage, "write back", [&] { save(units, {"a", "k"}, 2.5); });
  }
  EXPECT_EQ(load(units, {"a", "k"}), 1.5);
  EXPECT_TRUE(
      units.save({"a", "k"}, [](core::ByteSink& sink) { sink.put(2.5); }));  // nothing is written through
  fail_write_back = false;
  EXPECT_EQ(messages_.n_warnings, 0);
}

TEST_F(StageCacheTest, IsListed) {
  StageCache units = cache();
  save(units, {"b", "k1"}, 1);
  save(units, {"a", "k2"}, 2);
  std::ofstream(directory_.file("cache/fit/zero.unit")) << "?";
  const auto list = list_cache(directory_);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name, "a");
  EXPECT_EQ(list[0].key, "k2");
  EXPECT_EQ(list[0].stage, "fit");
  EXPECT_FALSE(list[0].damaged);
  EXPECT_EQ(list[1].name, "b");
  EXPECT_GT(list[1].bytes, 0);
  EXPECT_TRUE(list[2].damaged);
}

/// Other lags need not mean other rows, which the units' keys tell; a fresh start takes no key's word.
TEST_F(StageCacheTest, AFreshStageDiscardsWhatIsKeptBehindIt) {
  StageCache units = cache();
  save(units, {"a", "k"}, 1);
  Journal(directory_).begin("fit", true);
  Journal(directory_).begin("collect", false);
  EXPECT_EQ(load(units, {"a", "k"}), 1);
  Journal(directory_).begin("collect", true);
  EXPECT_FALSE(load(units, {"a", "k"}));
}

}  // namespace
}  // namespace phase0::run
