#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "store/atomic_file.h"
#include "store/file_system.h"
#include "store/posix_file.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;

TEST(AtomicFile, WritesReplacesAndReadsBack) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("report.txt");
  write_file_atomically(path, "one");
  EXPECT_EQ(read_file(path, 100), "one");
  write_file_atomically(path, std::string(100'000, 'x'));
  EXPECT_EQ(read_file(path, 100'000), std::string(100'000, 'x'));
  write_file_atomically(path, "");
  EXPECT_EQ(read_file(path, 0), "");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(AtomicFile, FailedWriteLeavesTheOldFile) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kStorage, "No such file",
               [&] { write_file_atomically(folder.file("no/file"), "x"); });
  std::filesystem::create_directories(folder.file("target/inside"));  // a rename onto it must fail
  expect_error(ErrorKind::kStorage, "cannot rename",
               [&] { write_file_atomically(folder.file("target"), "x"); });
  EXPECT_FALSE(std::filesystem::exists(folder.file("target.partial")));
}

TEST(AtomicFile, OneWriterAtATime) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("report.txt");
  write_file_atomically(path, [&](const FileDescriptor& file, const std::string& name) {
    write_exactly(file, 0, 5, "first", name);
    expect_error(ErrorKind::kStorage, "in use by another process",
                 [&] { write_file_atomically(path, "second"); });
  });
  EXPECT_EQ(read_file(path, 100), "first");
  // What a killed writer has left is nobody's.
  std::ofstream(path + ".partial") << "longer than what comes";
  write_file_atomically(path, "third");
  EXPECT_EQ(read_file(path, 100), "third");
}

TEST(LockedFile, IsTheOneOfThatName) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("lock");
  const FileDescriptor first = create_locked_file(path, O_WRONLY);
  EXPECT_TRUE(has_name(first, path));
  expect_error(ErrorKind::kStorage, "in use", [&] { create_locked_file(path, O_WRONLY); });
  std::filesystem::rename(path, folder.file("final"));
  EXPECT_FALSE(has_name(first, path));
  EXPECT_TRUE(has_name(first, folder.file("final")));
  const FileDescriptor second = create_locked_file(path, O_WRONLY);
  EXPECT_FALSE(has_name(first, path));
  EXPECT_TRUE(has_name(second, path));
}

TEST(AtomicFile, AFailedWriteLeavesTheFileOfAnotherWriter) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("report.txt");
  const auto lost = [&](const FileDescriptor&, const std::string& name) {
    std::filesystem::rename(name, folder.file("away"));
    std::ofstream(name) << "another's";
    throw Error(ErrorKind::kInterrupted, "interrupted");
  };
  expect_error(ErrorKind::kInterrupted, "", [&] { write_file_atomically(path, lost); });
  EXPECT_EQ(read_file(path + ".partial", 100), "another's");
}

TEST(LockedFile, HasItsNameHoweverOthersRename) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("lock");
  std::atomic<int> n_locked = 0;
  std::atomic<int> n_nameless = 0;
  const auto work = [&](const std::string& final_path) {
    for (int i = 0; i < 2000; ++i) {
      try {
        const FileDescriptor file = create_locked_file(path, O_WRONLY);
        ++n_locked;
        if (!has_name(file, path)) ++n_nameless;
        std::error_code error;
        std::filesystem::rename(path, final_path, error);
        if (error) ++n_nameless;
      } catch (const Error&) {
        continue;  // in use
      }
    }
  };
  std::thread other(work, folder.file("other"));
  work(folder.file("mine"));
  other.join();
  EXPECT_GT(n_locked, 100);
  EXPECT_EQ(n_nameless, 0);
}

TEST(AtomicFile, ReadFileHasALimit) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "12345");
  EXPECT_EQ(read_file(folder.file("f"), 5), "12345");
  expect_error(ErrorKind::kStorage, "larger", [&] { read_file(folder.file("f"), 4); });
  expect_error(ErrorKind::kStorage, "not a regular file", [&] { read_file(folder.path(), 4); });
  expect_error(ErrorKind::kStorage, "cannot open", [&] { read_file(folder.file("none"), 4); });
}

TEST(AtomicFile, CreatesNestedFolders) {
  const test::TemporaryFolder folder;
  create_folders(folder.file("a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(folder.file("a/b/c")));
  create_folders(folder.file("a/b/c/"));  // again, with a slash at the end
  write_file_atomically(folder.file("a/file"), "x");
  expect_error(ErrorKind::kStorage, "Not a directory", [&] { create_folders(folder.file("a/file")); });
  expect_error(ErrorKind::kStorage, "cannot create folder", [&] { create_folders(folder.file("a/file/b")); });
}

TEST(AtomicFile, TellsBeforehandWhichFoldersCannotBeCreated) {
  const test::TemporaryFolder folder;
  check_can_create_folders(folder.path());
  check_can_create_folders(folder.file("a/b/c/"));
  EXPECT_FALSE(std::filesystem::exists(folder.file("a")));
  check_can_create_folders("not-there-either");
  write_file_atomically(folder.file("file"), "x");
  for (const char* path : {"file", "file/", "file/b", "file/b/c"}) {
    const auto message = [&](const auto& action) {
      try {
        action(folder.file(path));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kStorage);
        return std::string(error.what());
      }
      return std::string("no error");
    };
    EXPECT_EQ(message(check_can_create_folders), message(create_folders)) << path;
    EXPECT_NE(message(create_folders), "no error") << path;
  }
  // Nobody creates folders in sysfs, whatever their permissions.
  if (::access("/sys", W_OK) == 0) return;
  expect_error(ErrorKind::kStorage, "/sys", [&] { check_can_create_folders("/sys/phase0"); });
  expect_error(ErrorKind::kStorage, "/sys", [&] { check_can_create_folders("/sys"); });
}

TEST(PosixFile, ReserveRangeGivesBlocksAndKeepsContents) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  const FileDescriptor file = open_file(path, O_RDWR | O_CREAT);
  write_exactly(file, 0, 3, "abc", path);
  reserve_range(file, 4096, 1 << 20, path);
  EXPECT_EQ(file_size(file, path), 4096 + (1 << 20));
  struct stat status {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, 1 << 20);
  char head[3];
  read_exactly(file, 0, 3, head, path, ErrorKind::kData);
  EXPECT_EQ(std::string(head, 3), "abc");
}

TEST(PosixFile, ReserveRangeBeyondTheDiskIsDiskFull) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  const FileDescriptor file = open_file(path, O_RDWR | O_CREAT);
  const std::int64_t too_much = free_disk_bytes(path) + (std::int64_t{1} << 40);
  expect_error(ErrorKind::kStorage, "disk full: needs ", [&] { reserve_range(file, 0, too_much, path); });
}

TEST(PosixFile, ShortReadIsAnErrorOfTheGivenKind) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(path, "abc");
  const FileDescriptor file = open_regular_file(path, ErrorKind::kData);
  char out[4];
  expect_error(ErrorKind::kData, "ends too early",
               [&] { read_exactly(file, 0, 4, out, path, ErrorKind::kData); });
  EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(PosixFile, APipeIsRefusedWithoutBlocking) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  expect_error(ErrorKind::kData, "not a regular file", [&] { open_regular_file(path, ErrorKind::kData); });
}

TEST(PosixFile, WhatStandsAtTheNameOfANewFileIsNotFollowed) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(folder.file("other"), "of somebody else");
  std::filesystem::create_symlink(folder.file("other"), path + ".partial");
  expect_error(ErrorKind::kStorage, "f.partial: is a link", [&] { write_file_atomically(path, "x"); });
  EXPECT_EQ(read_file(folder.file("other"), 100), "of somebody else");
  std::filesystem::remove(path + ".partial");
  ASSERT_EQ(::mkfifo((path + ".partial").c_str(), 0600), 0);
  for (const int flags : {O_WRONLY, O_RDWR})
    expect_error(ErrorKind::kStorage, "f.partial: is not a regular file",
                 [&] { create_file(path + ".partial", flags); });
}

}  // namespace
}  // namespace phase0::store
