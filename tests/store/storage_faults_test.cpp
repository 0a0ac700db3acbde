#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "store/h5_writer.h"
#include "store/mapped_ranges.h"
#include "store/posix_file.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;

/// While it lives, no file of this process grows beyond a size: a write over it is short, then fails.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// HDF5 1.10 with its own driver crashes here: when the file is closed, and again when the process ends.
TEST(StorageFaults, AFailedWriteOfHdf5IsAnErrorWithItsPlace) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    const FileSizeLimit limit(64 << 10);
    expect_error(ErrorKind::kStorage, "f.h5.new: offset 65536: cannot write: File too large", [&] {
      H5Writer writer(path);
      writer.write("/x", std::vector<double>(100'000, 1.0), {100'000});
      writer.commit();
    });
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  H5Writer again(path);
  again.write("/x", std::vector<double>{1}, {1});
  again.commit();
  EXPECT_EQ(H5Reader(path).read_double_dataset("/x"), std::vector<double>{1});
}

TEST(StorageFaults, AFailedWriteOfMetadataIsFoundAtTheLatestBeforeTheFinalName) {
  const test::TemporaryFolder folder;
  for (const rlim_t bytes : {0, 100, 1000, 3000, 5000, 9000}) {
    const FileSizeLimit limit(bytes);
    expect_error(ErrorKind::kStorage, "File too large", [&] {
      H5Writer writer(folder.file("f.h5"));
      for (int i = 0; i < 50; ++i) writer.attribute("/", "name" + std::to_string(i), std::string(200, 'x'));
      writer.commit();
    });
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << bytes;
  }
}

TEST(StorageFaults, AFailedWriteOfAFileLeavesTheOldOne) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(path, "old");
  {
    const FileSizeLimit limit(1000);
    expect_error(ErrorKind::kStorage, "f.partial: offset 1000: cannot write: File too large",
                 [&] { write_file_atomically(path, std::string(5000, 'x')); });
  }
  EXPECT_EQ(read_file(path, 10), "old");
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(StorageFaults, AFailedCloseIsAnError) {
  const test::TemporaryFolder folder;
  FileDescriptor file = open_file(folder.file("f"), O_WRONLY | O_CREAT);
  ::close(file.get());
  expect_error(ErrorKind::kStorage, "cannot close: Bad file descriptor", [&] { close_file(file, "f"); });
  EXPECT_FALSE(file);
}

TEST(StorageFaults, AFileThatCannotBeRemovedIsAnError) {
  const test::TemporaryFolder folder;
  remove_file(folder.file("none"));
  write_file_atomically(folder.file("f"), "x");
  remove_file(folder.file("f"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  std::filesystem::create_directory(folder.file("folder"));
  expect_error(ErrorKind::kStorage, "cannot remove", [&] { remove_file(folder.file("folder")); });
}

TEST(StorageFaults, AFileThatIsCutWhileHdf5ReadsItIsNamedWithItsOffset) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::vector<std::int64_t> values(100'000, 7);
  {
    test::RawH5File file(path);
    file.ints("x", values, {.chunk = {1000}});
  }
  for (const ErrorKind damage : {ErrorKind::kData, ErrorKind::kStorage}) {
    const std::string copy = folder.file("copy.h5");
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    const H5Reader reader(copy, damage);
    EXPECT_EQ(reader.info("/x").shape, std::vector<std::int64_t>{100'000});
    std::filesystem::resize_file(copy, 2000);
    expect_error(damage, "copy.h5: offset ", [&] { reader.read_int_dataset("/x"); });
    expect_error(damage, "the file ends too early", [&] { reader.read_int_dataset("/x"); });
  }
}

TEST(StorageFaults, NoFileOfHdf5IsInherited) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  H5Writer writer(path);
  writer.write("/x", std::vector<double>{1}, {1});
  const auto not_inherited = [&folder] {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the descriptor of this iteration itself
      const std::string target = std::filesystem::read_symlink(entry, gone).string();
      if (!target.starts_with(folder.path())) continue;
      ++files;
      EXPECT_NE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
    }
    return files;
  };
  EXPECT_GE(not_inherited(), 1);
  writer.commit();
  const H5Reader reader(path);
  EXPECT_GE(not_inherited(), 1);
}

TEST(MappedRanges, KnowWhichFileIsWhere) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(path, std::string(20'000, 'x'));
  const std::byte* inside = nullptr;
  {
    const MappedRegion region(path, 5000, 15'000, MapMode::kRead, ErrorKind::kStorage);
    const MappedRegion other(path, 0, 20'000, MapMode::kRead);
    inside = region.data() + 100;
    const auto place = find_mapped(inside);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->path, path);
    EXPECT_EQ(place->offset, 5100);
    EXPECT_EQ(explain(*place).kind, ErrorKind::kStorage);
    EXPECT_EQ(find_mapped(other.data() + 19'999)->offset, 19'999);
    EXPECT_EQ(find_mapped(other.data())->damage, ErrorKind::kData);
    EXPECT_FALSE(find_mapped(&region).has_value());
    std::filesystem::resize_file(path, 5100);
    EXPECT_NE(std::string(explain(*place).message).find("ends too early"), std::string::npos);
  }
  EXPECT_FALSE(find_mapped(inside).has_value());
}

// The kernel says EFAULT, and that of the file that was to be read.
TEST(MappedRanges, ReadingIntoAMapThatWasCutBlamesTheCutFile) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder.file("in"), std::string(8192, 'x'));
  write_file_atomically(folder.file("out"), std::string(8192, 'x'));
  const MappedRegion out(folder.file("out"), 0, 8192, MapMode::kReadWrite, ErrorKind::kStorage);
  std::filesystem::resize_file(folder.file("out"), 4096);
  const FileDescriptor in = open_regular_file(folder.file("in"), ErrorKind::kData);
  expect_error(ErrorKind::kStorage, "/out: offset 4096: the file ends too early",
               [&] { read_exactly(in, 0, 8192, out.data(), folder.file("in"), ErrorKind::kData); });
}

}  // namespace
}  // namespace phase0::store
