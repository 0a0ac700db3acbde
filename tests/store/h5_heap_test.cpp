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

TEST_F(DamagedStrings, TwoObjectsOfOneNumber) {
  change("gamma", -16, 1);
  expect_damaged("two objects of one number");
}

std::string number(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

/// A heap with one text, filled up to `n` bytes.
std::string heap_of(const std::string& text, std::size_t n) {
  const std::string head("GCOL\1\0\0\0", 8);
  const std::string object("\1\0\1\0\0\0\0\0", 8);
  std::string heap = head + number(n) + object + number(text.size()) + text;
  heap.resize(n);
  return heap;
}

/// Makes the reference to the first object of the heap at `from` one to that of the heap at `to`.
void lead_elsewhere(std::string& bytes, std::size_t from, std::size_t to) {
  const std::string first("\1\0\0\0", 4);
  const std::size_t at = bytes.find(number(from) + first);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 8, number(to));
}

TEST(GlobalHeap, OneInsideOfAnotherIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    RawH5File raw(path);
    raw.strings("/text", {"one", "two"});
  }
  std::string bytes = read_file(path, 1 << 20);
  bytes.resize((bytes.size() + 7) / 8 * 8);
  const std::size_t heap = bytes.find("GCOL");
  const std::size_t outer = bytes.size();
  const std::string inner = heap_of("one", 64);
  bytes += heap_of(inner, 128);
  const std::string second("\2\0\0\0", 4);
  const std::size_t at = bytes.find(number(heap) + second);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 12, number(outer + 32) + std::string("\1\0\0\0", 4));
  lead_elsewhere(bytes, heap, outer);
  write_file_atomically(path, bytes);
  expect_error(ErrorKind::kData, "a heap inside of another",
               [&] { H5Reader(path).read_string_dataset("/text"); });
}

/// Each of many strings had a heap of 16 MiB read.
TEST(GlobalHeap, OneFarLargerThanItsStringsIsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    RawH5File raw(path);
    raw.attribute("/", "note", "a note in the heap");
  }
  std::string bytes = read_file(path, 1 << 20);
  bytes.resize((bytes.size() + 7) / 8 * 8);
  const std::size_t heap = bytes.find("GCOL");
  const std::size_t large = bytes.size();
  bytes += heap_of("a note in the heap", std::size_t{16} << 20);
  lead_elsewhere(bytes, heap, large);
  write_file_atomically(path, bytes);
  const H5Reader file(path);
  EXPECT_EQ(file.read_string("/", "note"), "a note in the heap");
  expect_error(ErrorKind::kData,
               "attribute note: its strings are damaged: a heap far larger than its strings", [&] {
                 for (int i = 0; i < 40; ++i) file.read_string("/", "note");
               });
}

TEST(GlobalHeap, AttributesOfOneLongTextAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    RawH5File raw(path);
    raw.attribute("/", "note", std::string(std::size_t{1} << 20, 'a'));
  }
  const H5Reader file(path);
  expect_error(ErrorKind::kData, "far more memory than the file has", [&] {
    for (int i = 0; i < 40; ++i) EXPECT_EQ(file.read_string("/", "note").size(), std::size_t{1} << 20);
  });
}

TEST(GlobalHeap, ReferencesMayBeInAnyOrder) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  std::vector<std::string> texts(40'000);
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = "text-" + std::to_string(i);
  texts[7].clear();
  {
    RawH5File raw(path);
    raw.strings("/text", texts);
  }
  constexpr std::size_t kReferenceBytes = 16;
  const auto first = static_cast<std::size_t>(H5Reader(path).info("/text").offset);
  std::string bytes = read_file(path, 1 << 24);
  const std::string stored = bytes.substr(first, kReferenceBytes * texts.size());
  std::vector<std::string> moved(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t to = i * 7919 % texts.size();
    bytes.replace(first + kReferenceBytes * to, kReferenceBytes, stored, kReferenceBytes * i,
                  kReferenceBytes);
    moved[to] = texts[i];
  }
  write_file_atomically(path, bytes);
  EXPECT_EQ(H5Reader(path).read_string_dataset("/text"), moved);
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
