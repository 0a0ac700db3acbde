#include "store/h5_heap.h"

#include <gtest/gtest.h>

#include <cstring>

#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using test::RawH5File;

const std::vector<std::string> kTexts = {"alpha", "", "beta-and-more", "gamma"};

/// A file of strings, changed at a place that follows a marker.
class DamagedStrings : public testing::Test {
 protected:
  void SetUp() override {
    RawH5File raw(path_);
    raw.strings("/text", kTexts);
    raw.attribute("/", "note", "a note in the heap");
  }
  void change(const std::string& marker, std::ptrdiff_t distance, unsigned char value) {
    std::string bytes = read_file(path_, 1 << 20);
    const std::size_t at = bytes.find(marker);
    ASSERT_NE(at, std::string::npos);
    bytes[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(at) + distance)] = static_cast<char>(value);
    write_file_atomically(path_, bytes);
  }
  void expect_damaged(const std::string& fragment) {
    const H5Reader file(path_);
    expect_error(ErrorKind::kData, fragment, [&] { file.read_string_dataset("/text"); });
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("f.h5");
};

TEST_F(DamagedStrings, UndamagedOnesRead) {
  const H5Reader file(path_);
  EXPECT_EQ(file.read_string_dataset("/text"), kTexts);
  EXPECT_EQ(file.read_string("/", "note"), "a note in the heap");
}

// An object's header stands in front of its text: index (2), count (2), reserved (4), size (8).

TEST_F(DamagedStrings, AnIndexThatIsNotThere) {
  change("alpha", -16, 200);
  expect_damaged("not where it should be");
}

TEST_F(DamagedStrings, AnObjectShorterThanItsString) {
  change("beta-and-more", -8, 12);
  expect_damaged("damaged");
}

TEST_F(DamagedStrings, AnObjectLargerThanTheHeap) {
  change("alpha", -8 + 3, 1);
  expect_damaged("object of impossible size");
  expect_error(ErrorKind::kData, "attribute note", [&] { H5Reader(path_).read_string("/", "note"); });
}

TEST_F(DamagedStrings, AHeapOfAnotherSize) {
  change("GCOL", 8 + 5, 1);
  expect_damaged("heap of impossible size");
}

TEST_F(DamagedStrings, ASizeOfZero) {
  change("GCOL", 8 + 1, 0);
  expect_damaged("heap of impossible size");
}

TEST_F(DamagedStrings, NoHeap) {
  change("GCOL", 0, 'X');
  expect_damaged("no heap");
}

/// HDF5 reads as many references as the shape says out of a compact dataset, whatever is stored.
TEST(GlobalHeap, AShapeLargerThanWhatIsStoredIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  for (const bool compact : {true, false}) {
    SCOPED_TRACE(compact);
    {
      RawH5File raw(path);
      raw.strings("/text", std::vector<std::string>(77, "text"), {.compact = compact});
    }
    std::string bytes = read_file(path, 1 << 20);
    const std::string stored("\x4d\0\0\0\0\0\0\0", 8);  // the dimension, and the largest that it may be
    const std::size_t at = bytes.find(stored + stored);
    ASSERT_NE(at, std::string::npos);
    bytes[at + 1] = bytes[at + 9] = 30;
    write_file_atomically(path, bytes);
    expect_error(ErrorKind::kData, "its stored size disagrees with its shape",
                 [&] { H5Reader(path).read_string_dataset("/text"); });
  }
}

TEST(GlobalHeap, AUserBlockMovesAllAddresses) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_userblock(creation, 1024);
  H5Fclose(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT));
  H5Pclose(creation);
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  ASSERT_GE(id, 0);
  {
    RawH5File raw(id);
    const std::vector<float> values = {1, 2, 3};
    raw.strings("/text", kTexts);
    raw.dataset("/x", H5T_IEEE_F32LE, {3}, values.data());
  }
  const H5Reader file(path);
  EXPECT_EQ(file.read_string_dataset("/text"), kTexts);
  EXPECT_EQ(file.map("/x", ElementType::kFloat32).data<float>()[2], 3.0F);
}

TEST(GlobalHeap, LongAndManyStrings) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  std::vector<std::string> texts(3000);
  for (std::size_t i = 0; i < texts.size(); ++i)
    texts[i] = std::string(i * 7, static_cast<char>('a' + i % 26));
  {
    RawH5File raw(path);
    raw.strings("/text", texts);
    raw.strings("/compact", kTexts, {.compact = true});
  }
  EXPECT_EQ(H5Reader(path).read_string_dataset("/text"), texts);
  EXPECT_EQ(H5Reader(path).read_string_dataset("/compact"), kTexts);
}

}  // namespace
}  // namespace phase0::store
