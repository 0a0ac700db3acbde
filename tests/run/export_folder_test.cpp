#include "run/export_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

TEST(ExportFolder, OneAtATime) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("out");
  {
    ExportFolder first(path);
    test::expect_error(ErrorKind::kStorage, "is in use by another process",
                       [&] { ExportFolder second(path); });
    first.make("a");
    first.commit();
  }
  EXPECT_TRUE(std::filesystem::is_directory(path + "/a"));
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(ExportFolder, WhatAKilledOneLeftGoes) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("out");
  std::filesystem::create_directories(path + ".partial/old");
  std::ofstream(path + ".partial/.phase0-export");
  ExportFolder(path).commit();
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

}  // namespace
}  // namespace phase0::run
