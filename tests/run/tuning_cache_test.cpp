#include "run/tuning_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

using core::TuningTable;

class TuningCacheTest : public ::testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("tuning.json");
  TuningCache cache_{path_};
};

TEST_F(TuningCacheTest, KeepsATableForEachStage) {
  EXPECT_TRUE(cache_.load("fit").empty());
  cache_.save("fit", {{"PCA", 7}, {"k-means, \"rows\"", 1}});
  cache_.save("analyze", {{"units", 3}});
  cache_.save("analyze", {{"units", 4}});
  EXPECT_EQ(cache_.load("fit"), (TuningTable{{"PCA", 7}, {"k-means, \"rows\"", 1}}));
  EXPECT_EQ(TuningCache(path_).load("analyze"), (TuningTable{{"units", 4}}));
  EXPECT_TRUE(cache_.load("collect").empty());
}

TEST_F(TuningCacheTest, IgnoresDamageAndRepairsIt) {
  for (const char* text :
       {"", "{", "[]", "7", "{\"version\": 2, \"stages\": {\"fit\": {\"PCA\": 7}}}", "{\"version\": 1}",
        "{\"version\": 1, \"stages\": []}", "{\"version\": 1, \"stages\": {\"fit\": [1]}}",
        "{\"version\": 1, \"stages\": {\"fit\": {\"PCA\": \"many\", \"moments\": 1.5}}}"}) {
    write(text);
    EXPECT_TRUE(cache_.load("fit").empty()) << text;
    cache_.save("fit", {{"PCA", 2}});
    EXPECT_EQ(cache_.load("fit"), (TuningTable{{"PCA", 2}})) << text;
  }
}

TEST_F(TuningCacheTest, DoesWithoutAFile) {
  for (const std::string& path : {std::string(), std::string("/proc/none/tuning.json"), folder_.path()}) {
    const TuningCache cache(path);
    cache.save("fit", {{"PCA", 2}});
    EXPECT_TRUE(cache.load("fit").empty()) << path;
  }
}

TEST_F(TuningCacheTest, LiesInTheCacheFolderOfTheUser) {
  const auto keep = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  const auto cache = keep("XDG_CACHE_HOME");
  const auto home = keep("HOME");
  setenv("XDG_CACHE_HOME", folder_.file("cache").c_str(), 1);
  EXPECT_EQ(TuningCache().path(), folder_.file("cache") + "/phase0/tuning.json");
  TuningCache().save("fit", {{"PCA", 2}});  // creates the folders
  EXPECT_EQ(TuningCache().load("fit"), (TuningTable{{"PCA", 2}}));
  setenv("XDG_CACHE_HOME", "relative", 1);  // to be ignored, says the XDG specification
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(TuningCache().path(), "/home/x/.cache/phase0/tuning.json");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(TuningCache().path(), "");
  if (cache) setenv("XDG_CACHE_HOME", cache->c_str(), 1);
  if (home) setenv("HOME", home->c_str(), 1);
}

}  // namespace
}  // namespace phase0::run
