#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "phase0/error.h"
#include "phase0/pipeline.h"
#include "run/journal.h"
#include "run/provenance.h"
#include "run/run_lock.h"
#include "run/session_options.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

class RunDirectoryTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_.file(name)) << text;
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(directory_.file(name)); }

  test::TemporaryFolder folder_;
  RunDirectory directory_{folder_.path()};
};

TEST_F(RunDirectoryTest, JournalRemembersAStageForItsKeyAndItsFiles) {
  write("features.h5", "features");
  Journal(directory_).finish("collect", "key");
  EXPECT_TRUE(Journal(directory_).done("collect", "key"));
  EXPECT_FALSE(Journal(directory_).done("collect", "other key"));
  EXPECT_FALSE(Journal(directory_).done("fit", "key"));
  for (const char* damaged : {"short", "Features"}) {
    write("features.h5", damaged);
    EXPECT_FALSE(Journal(directory_).done("collect", "key")) << damaged;
    EXPECT_EQ(Journal(directory_).changed_file("collect"), directory_.features());
  }
}

TEST_F(RunDirectoryTest, NestingWithoutEndCountsAsDamage) {
  const std::string deep = "{\"stages\": " + std::string(500'000, '[') + std::string(500'000, ']') + "}";
  write("run.json", deep);
  write("journal.json", deep);
  EXPECT_TRUE(read_stage_memory(directory_).empty());
  EXPECT_TRUE(read_input_facts(directory_).path.empty());
  EXPECT_FALSE(Journal(directory_).key("collect").has_value());
}

TEST_F(RunDirectoryTest, NumbersThatAreNotWholeCountAsDamage) {
  write(
      "journal.json",
      R"({"stages": [{"stage": "collect", "key": "k", "files": {"features.h5": {"bytes": 1e300, "checksum": 1}}}]})");
  EXPECT_FALSE(Journal(directory_).key("collect").has_value());
  write("run.json",
        R"({"stages": {"fit": {"planned_peak_bytes": 1e300, "peak_rss_bytes": 1, "budget_bytes": 1}}})");
  EXPECT_TRUE(read_stage_memory(directory_).empty());
}

TEST_F(RunDirectoryTest, BeginningAStageRemovesWhatBuildsOnIt) {
  for (const char* name : {"features.h5", "models.h5", "assignments.h5", "tables.csv", "report.html"})
    write(name, "x");
  Journal(directory_).finish("collect", "c");
  Journal(directory_).finish("fit", "f");
  Journal(directory_).begin("fit", false);
  EXPECT_TRUE(Journal(directory_).done("collect", "c"));
  EXPECT_FALSE(Journal(directory_).key("fit").has_value());
  EXPECT_TRUE(exists("features.h5"));
  for (const char* name : {"models.h5", "assignments.h5", "tables.csv", "report.html"})
    EXPECT_FALSE(exists(name)) << name;
}

TEST_F(RunDirectoryTest, AnInputOfTheSameSizeAndTimeIsAnotherOne) {
  Options options = test::session_options(directory_.path);
  options.data.latents = directory_.file("latents.h5");
  write("latents.h5", std::string(1'000'000, 'a'));
  const auto time = std::filesystem::last_write_time(options.data.latents);
  const std::string key = collect_key(options);
  EXPECT_EQ(collect_key(options), key);
  write("latents.h5", std::string(1'000'000, 'b'));
  std::filesystem::last_write_time(options.data.latents, time);
  EXPECT_NE(collect_key(options), key);
  write("latents.h5", std::string(1'000'000, 'a'));
  std::filesystem::last_write_time(options.data.latents, time);
  EXPECT_EQ(collect_key(options), key);
  std::filesystem::remove(options.data.latents);
  EXPECT_NE(collect_key(options), key);
}

TEST_F(RunDirectoryTest, DamagedJournalsCountAsEmpty) {
  for (const char* text : {"", "{", "[]", "{\"stages\": 3}", "{\"stages\": [{\"stage\": 1}]}"}) {
    write("journal.json", text);
    EXPECT_FALSE(Journal(directory_).key("collect").has_value()) << text;
  }
}

TEST_F(RunDirectoryTest, AJournalThatIsTooLargeCountsAsEmpty) {
  write("journal.json", std::string((1 << 20) + 1, ' '));
  EXPECT_FALSE(Journal(directory_).key("collect").has_value());
}

TEST_F(RunDirectoryTest, DamagedRunJsonGivesEmptyFacts) {
  for (const char* text : {"", "[1, 2]", "{\"input\": 5}", "{\"input\": {\"path\": 3}}", "{\"stages\": 1}"}) {
    write("run.json", text);
    EXPECT_EQ(read_input_facts(directory_).path, "") << text;
  }
}

TEST_F(RunDirectoryTest, ALongReportIsReadBack) {
  const std::string report(std::size_t{17} << 20, 'x');
  write("report.txt", report);
  EXPECT_TRUE(report_text(folder_.path()) == report);
}

TEST_F(RunDirectoryTest, OnlyOneWriterAtATime) {
  {
    const RunLock first(directory_.path);
    try {
      const RunLock second(directory_.path);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kStorage);
      const std::string who = fmt::format("another phase0 (process {} on ", ::getpid());
      EXPECT_NE(std::string(error.what()).find(who), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(" since 20"), std::string::npos) << error.what();
    }
  }
  EXPECT_TRUE(static_cast<bool>(RunLock(directory_.path)));
}

TEST_F(RunDirectoryTest, ALockFileThatItsHolderRemovesLocksTheNextNonetheless) {
  auto first = std::make_unique<RunLock>(directory_.path);
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the second has opened the file and waits
    std::filesystem::remove(directory_.file(".lock"));
    first.reset();
  });
  const RunLock second(directory_.path);
  end.join();
  EXPECT_THROW(RunLock(directory_.path), Error);
}

TEST_F(RunDirectoryTest, ALockFileLeftBehindLocksNobodyOut) {
  write(".lock",
        "process 1 on another machine since 2001-01-01T00:00:00Z, and more text than will be written");
  const RunLock lock(directory_.path);
  std::ifstream file(directory_.file(".lock"));
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_TRUE(text.starts_with(fmt::format("process {} on ", ::getpid()))) << text;
  EXPECT_EQ(text.find("more text"), std::string::npos) << text;
}

TEST_F(RunDirectoryTest, ALockThatIsALinkIsNotFollowed) {
  write("other", "of somebody else");
  std::filesystem::create_symlink(directory_.file("other"), directory_.file(".lock"));
  test::expect_error(ErrorKind::kStorage, ".lock: is a link", [&] { RunLock lock(directory_.path); });
  EXPECT_EQ(std::filesystem::file_size(directory_.file("other")), 16U);
}

TEST_F(RunDirectoryTest, AFileThatChangedSinceItsStageIsNamed) {
  write("features.h5", "features");
  Journal(directory_).finish("collect", "key");
  EXPECT_EQ(Journal(directory_).changed_file("collect"), "");
  write("features.h5", "short");
  EXPECT_EQ(Journal(directory_).changed_file("collect"), directory_.features());
}

TEST_F(RunDirectoryTest, WhatCannotBeRemovedStopsAStage) {
  std::filesystem::create_directories(directory_.file("tables.csv/in the way"));
  test::expect_error(ErrorKind::kStorage, "cannot remove",
                     [&] { Journal(directory_).begin("collect", false); });
}

}  // namespace
}  // namespace phase0::run
