#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <numeric>

#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "store/h5_writer.h"
#include "store/posix_file.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using Shape = std::vector<std::int64_t>;

const std::vector<std::int64_t> kLags = {1, 2, 4};

void write_everything(const std::string& path) {
  H5Writer writer(path);
  writer.attribute("/", "format", std::string("phase0-test"));
  writer.attribute("/", "version", std::int64_t{1});
  writer.attribute("/", "rate", 12.5);
  writer.attribute("/", "lags", kLags);
  writer.group("/empty/group");
  writer.write("/lag1/mu", std::vector<double>{0.1, -2.0}, {2});
  writer.attribute("/lag1/mu", "n_samples", std::int64_t{77});
  writer.write("/lag1/centroids", std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
  writer.write("/counts", std::vector<std::int64_t>{1, -5, std::int64_t{1} << 40}, {3});
  writer.write("/split", std::vector<std::uint8_t>{0, 1, 2}, {3});
  writer.write("/utterances/id", std::vector<std::string>{"a", "", "größe"});
  writer.write("/none", std::vector<float>{}, {0, 4});
  writer.declare("/train/delta", ElementType::kFloat32, {1000, 3});
  writer.declare("/train/high", ElementType::kUInt8, {7});
  writer.declare("/train/t", ElementType::kInt32, {7});
  writer.declare("/eval/delta", ElementType::kFloat32, {0, 3});
  writer.begin_streaming();
  MappedDataset delta = writer.map("/train/delta");
  std::iota(delta.mutable_data<float>(), delta.mutable_data<float>() + 3000, 0.0F);
  delta.flush(0, 500);
  MappedDataset t = writer.map("/train/t");
  std::iota(t.mutable_data<std::int32_t>(), t.mutable_data<std::int32_t>() + 7, 10);
  MappedDataset high = writer.map("/train/high");
  std::fill_n(high.mutable_data<std::uint8_t>(), 7, std::uint8_t{1});
  EXPECT_TRUE(writer.map("/eval/delta").empty());
  writer.commit();
}

TEST(H5Writer, RoundTrip) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  write_everything(path);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
  const H5Reader file(path);
  EXPECT_EQ(file.read_string("/", "format"), "phase0-test");
  EXPECT_EQ(file.read_int("/", "version"), 1);
  EXPECT_EQ(file.read_double("/", "rate"), 12.5);
  EXPECT_EQ(file.read_ints("/", "lags"), kLags);
  EXPECT_EQ(file.attribute_names("/"), (std::vector<std::string>{"format", "lags", "rate", "version"}));
  EXPECT_TRUE(file.is_group("/empty/group"));
  EXPECT_EQ(file.read_double_dataset("/lag1/mu"), (std::vector<double>{0.1, -2.0}));
  EXPECT_EQ(file.read_int("/lag1/mu", "n_samples"), 77);
  EXPECT_EQ(file.info("/lag1/centroids").shape, (Shape{3, 2}));
  EXPECT_EQ(file.read_double_dataset("/lag1/centroids"), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.read_int_dataset("/counts"), (std::vector<std::int64_t>{1, -5, std::int64_t{1} << 40}));
  EXPECT_EQ(file.read_int_dataset("/split"), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(file.read_string_dataset("/utterances/id"), (std::vector<std::string>{"a", "", "größe"}));
  EXPECT_EQ(file.info("/none").shape, (Shape{0, 4}));
  EXPECT_TRUE(file.map("/none", ElementType::kFloat32).empty());
  const MappedDataset delta = file.map("/train/delta", ElementType::kFloat32);
  for (std::int64_t i = 0; i < 3000; ++i) ASSERT_EQ(delta.data<float>()[i], static_cast<float>(i));
  EXPECT_EQ(file.map("/train/t", ElementType::kInt32).data<std::int32_t>()[6], 16);
  EXPECT_EQ(file.read_int_dataset("/train/high"), std::vector<std::int64_t>(7, 1));
}

TEST(H5Writer, DeclaredDatasetsStartPagesAndOwnTheirBlocks) {
  const test::TemporaryFolder folder;
  write_everything(folder.file("f.h5"));
  const H5Reader file(folder.file("f.h5"));
  for (const char* name : {"/train/delta", "/train/high", "/train/t"}) {
    const DatasetInfo info = file.info(name);
    EXPECT_TRUE(info.contiguous) << name;
    EXPECT_EQ(info.offset % 4096, 0) << name;
  }
  EXPECT_EQ(file.info("/eval/delta").offset, -1);
}

TEST(H5Writer, TheSameContentsGiveTheSameBytes) {
  const test::TemporaryFolder folder;
  write_everything(folder.file("a.h5"));
  ::usleep(1'100'000);  // a time stamp in seconds would differ
  write_everything(folder.file("b.h5"));
  EXPECT_EQ(read_file(folder.file("a.h5"), 1 << 20), read_file(folder.file("b.h5"), 1 << 20));
}

TEST(H5Writer, TakesNoMoreSpaceThanItsFile) {
  const test::TemporaryFolder folder;
  write_everything(folder.file("f.h5"));
  struct stat status {};
  ASSERT_EQ(::stat(folder.file("f.h5").c_str(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, status.st_size + 64 * 1024);
  EXPECT_LT(status.st_size, 512 * 1024);
}

TEST(H5Writer, NothingUnderTheFinalNameBeforeCommit) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    H5Writer writer(path);
    writer.declare("/x", ElementType::kFloat32, {100});
    EXPECT_FALSE(std::filesystem::exists(path));
    writer.begin_streaming();
    EXPECT_FALSE(std::filesystem::exists(path));
    // From here on a crash leaves a file that opens, whatever was streamed.
    EXPECT_EQ(H5Reader(path + ".partial").info("/x").shape, Shape{100});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  { H5Writer unused(path); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(H5Writer, OneAtATime) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const auto another = [&](Leftover leftover) {
    test::expect_error(ErrorKind::kStorage, "is in use by another process", [&] {
      H5Writer writer(path, leftover);
      writer.declare("/x", ElementType::kInt32, {3});
      writer.begin_streaming();
    });
  };
  H5Writer writer(path);
  writer.declare("/x", ElementType::kInt32, {3});
  another(Leftover::kReplace);
  writer.begin_streaming();
  for (const Leftover leftover : {Leftover::kReplace, Leftover::kResume}) another(leftover);
  MappedDataset x = writer.map("/x");
  std::iota(x.mutable_data<std::int32_t>(), x.mutable_data<std::int32_t>() + 3, 7);
  writer.commit();
  EXPECT_EQ(H5Reader(path).read_int_dataset("/x"), (std::vector<std::int64_t>{7, 8, 9}));
}

/// Declares /x and /y, with `rate` in the metadata.
H5Writer resumable(const std::string& path, double rate, Leftover leftover = Leftover::kResume) {
  H5Writer writer(path, leftover);
  writer.attribute("/", "rate", rate);
  writer.write("/names", std::vector<std::string>{"a", "größe"});
  writer.declare("/x", ElementType::kInt32, {3000});
  writer.declare("/y", ElementType::kFloat32, {10, 4});
  writer.declare("/z", ElementType::kUInt8, {1 << 20});
  return writer;
}

/// Leaves a partial file in which /x is filled.
void leave_partial(const std::string& path) {
  H5Writer writer = resumable(path, 12.5, Leftover::kReplace);
  EXPECT_FALSE(writer.begin_streaming());
  MappedDataset x = writer.map("/x");
  std::iota(x.mutable_data<std::int32_t>(), x.mutable_data<std::int32_t>() + 3000, 0);
  writer.sync();
  writer.keep_partial(true);
}

TEST(H5Writer, LeavesTheFileOfAnotherWriterAtItsTemporaryName) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    H5Writer writer(path);
    writer.declare("/x", ElementType::kFloat32, {1000, 3});
    writer.begin_streaming();
    std::filesystem::rename(path + ".partial", folder.file("away"));
    std::ofstream(path + ".partial") << "another's";
  }
  EXPECT_EQ(read_file(path + ".partial", 100), "another's");
}

TEST(H5Writer, GoesOnInThePartialFileWithTheSameMetadata) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  leave_partial(path);
  EXPECT_TRUE(std::filesystem::exists(path + ".partial"));
  { H5Writer gone = resumable(path, 12.5); }  // before it streams: the partial file is not its own
  EXPECT_TRUE(std::filesystem::exists(path + ".partial"));
  {
    H5Writer writer = resumable(path, 12.5);
    EXPECT_TRUE(writer.begin_streaming());
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
    writer.map("/y").mutable_data<float>()[39] = 2.0F;
    writer.commit();
  }
  const H5Reader file(path);
  EXPECT_EQ(file.read_double("/", "rate"), 12.5);
  EXPECT_EQ(file.read_int_dataset("/x")[2999], 2999);
  EXPECT_EQ(file.read_double_dataset("/y")[39], 2);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST(H5Writer, ReplacesAPartialFileThatIsNotItsOwn) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const auto begins_anew = [&](H5Writer writer) {
    EXPECT_FALSE(writer.begin_streaming());
    EXPECT_EQ(writer.map("/x").data<std::int32_t>()[2999], 0);
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  };
  leave_partial(path);
  begins_anew(resumable(path, 12.6));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  leave_partial(path);
  std::filesystem::resize_file(path + ".partial", std::filesystem::file_size(path + ".partial") + 1);
  begins_anew(resumable(path, 12.5));
  leave_partial(path);
  begins_anew(resumable(path, 12.5, Leftover::kReplace));
  write_file_atomically(path + ".partial", "no HDF5 at all");
  begins_anew(resumable(path, 12.5));
}

TEST(H5Writer, LinksAtItsTemporaryNamesAreNotFollowed) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  leave_partial(path);
  std::filesystem::rename(path + ".partial", folder.file("other"));
  std::filesystem::create_symlink(folder.file("other"), path + ".partial");
  {
    H5Writer writer = resumable(path, 12.5);
    EXPECT_FALSE(writer.begin_streaming());
    writer.map("/x").mutable_data<std::int32_t>()[2999] = 1;
    writer.commit();
  }
  EXPECT_EQ(H5Reader(folder.file("other")).read_int_dataset("/x")[2999], 2999);
  std::filesystem::create_symlink(folder.file("other"), path + ".new");
  test::expect_error(ErrorKind::kStorage, "f.h5.new: is a link", [&] { H5Writer writer(path); });
  EXPECT_EQ(H5Reader(folder.file("other")).read_int_dataset("/x")[2999], 2999);
}

TEST(H5Writer, APartialFileThatLostItsSpaceIsReplaced) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  leave_partial(path);
  const std::int64_t offset = H5Reader(path + ".partial").info("/z").offset;
  const FileDescriptor file = open_file(path + ".partial", O_RDWR);
  if (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, 1 << 20) != 0) {
    GTEST_SKIP() << "no holes in this file system";
  }
  EXPECT_FALSE(resumable(path, 12.5).begin_streaming());
}

TEST(H5Writer, TheByteBeforeADatasetCounts) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::int64_t offset = [&] {
    leave_partial(path);
    return H5Reader(path + ".partial").info("/y").offset;
  }();
  for (const auto& [at, resumed] : {std::pair(offset - 1, false), {offset, true}, {offset + 159, true}}) {
    leave_partial(path);
    {
      std::fstream file(path + ".partial", std::ios::binary | std::ios::in | std::ios::out);
      file.seekp(at);
      file.put('\1');
    }
    EXPECT_EQ(resumable(path, 12.5).begin_streaming(), resumed) << at - offset;
  }
}

TEST(H5Writer, CommitReplacesAndALaterFailureKeepsTheOldFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  write_file_atomically(path + ".partial", "left over by a crash");
  write_file_atomically(path, "an older file");
  {
    H5Writer writer(path);
    writer.write("/x", std::vector<double>{1}, {1});
    writer.commit();
  }
  EXPECT_EQ(H5Reader(path).read_double_dataset("/x"), std::vector<double>{1});
  {
    H5Writer writer(path);
    writer.declare("/x", ElementType::kFloat64, {2});
    writer.begin_streaming();
  }
  EXPECT_EQ(H5Reader(path).read_double_dataset("/x"), std::vector<double>{1});
}

TEST(H5Writer, MovesAndMapsOutliveIt) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  MappedDataset x;
  {
    H5Writer first(path);
    first.declare("/x", ElementType::kFloat32, {2});
    H5Writer second = std::move(first);
    second.begin_streaming();
    x = second.map("/x");
    x.mutable_data<float>()[1] = 3.0F;
    second.commit();
  }
  EXPECT_EQ(x.data<float>()[1], 3.0F);
  EXPECT_EQ(H5Reader(path).read_double_dataset("/x"), (std::vector<double>{0, 3}));
}

TEST(H5Writer, FailuresAreStorageErrors) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kStorage, "No such file", [&] { H5Writer writer(folder.file("no/f.h5")); });
  {
    H5Writer writer(folder.file("f.h5"));
    writer.write("/x", std::vector<float>{1}, {1});
    expect_error(ErrorKind::kStorage, "/x", [&] { writer.write("/x", std::vector<float>{1}, {1}); });
    expect_error(ErrorKind::kStorage, "/y", [&] { writer.attribute("/y", "a", 1.0); });
    expect_error(ErrorKind::kStorage, "too large", [&] {
      writer.declare("/z", ElementType::kFloat32, {std::int64_t{1} << 40, std::int64_t{1} << 40});
    });
  }
  H5Writer big(folder.file("big.h5"));
  big.declare("/x", ElementType::kFloat32, {std::int64_t{1} << 40});
  expect_error(ErrorKind::kStorage, "disk full: needs 4", [&] { big.begin_streaming(); });
}

TEST(H5Writer, AnAttributeCanBeReplaced) {
  const test::TemporaryFolder folder;
  {
    H5Writer writer(folder.file("f.h5"));
    writer.attribute("/", "a", std::int64_t{1});
    writer.attribute("/", "a", std::string("text"));
    writer.attribute("/", "none", std::span<const std::int64_t>{});
    writer.commit();
  }
  const H5Reader file(folder.file("f.h5"));
  EXPECT_EQ(file.read_string("/", "a"), "text");
  EXPECT_TRUE(file.read_ints("/", "none").empty());
}

}  // namespace
}  // namespace phase0::store
