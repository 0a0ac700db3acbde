#include "store/file_system.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

TEST(FileSystem, AMissingPathIsOnItsParents) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(nearest_existing(folder.file("not/there/yet")), folder.path());
  EXPECT_EQ(nearest_existing("not-there-either"), ".");
  EXPECT_GT(free_disk_bytes(folder.file("not/there/yet")), 0);
  EXPECT_GT(free_disk_bytes("not-there-either"), 0);
  EXPECT_EQ(device_of(folder.file("not/there/yet")), device_of(folder.path()));
}

TEST(FileSystem, TmpfsLiesInMemoryAndSysfsDoesNot) {
  EXPECT_FALSE(lies_in_memory("/sys"));
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  EXPECT_TRUE(lies_in_memory("/dev/shm/not/there/yet"));
}

}  // namespace
}  // namespace phase0::store
