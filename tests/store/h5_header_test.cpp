#include "store/h5_header.h"

#include <gtest/gtest.h>

#include <vector>

#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using test::RawH5File;

/// Writes an attribute of `type`, all zeros, and closes the type.
void attribute(hid_t object, const char* name, hid_t type) {
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  ASSERT_GE(id, 0) << name;
  const std::vector<char> zeros(1024);
  EXPECT_GE(H5Awrite(id, type, zeros.data()), 0) << name;
  H5Aclose(id);
  H5Sclose(space);
  H5Tclose(type);
}

hid_t compound_type() {
  const hid_t type = H5Tcreate(H5T_COMPOUND, 12);
  H5Tinsert(type, "first", 0, H5T_STD_I32LE);
  H5Tinsert(type, "the second one", 4, H5T_IEEE_F64LE);
  return type;
}

hid_t enum_type() {
  const hid_t type = H5Tenum_create(H5T_STD_I8LE);
  const signed char values[] = {0, 1};
  H5Tenum_insert(type, "FALSE", &values[0]);
  H5Tenum_insert(type, "TRUE", &values[1]);
  return type;
}

hid_t opaque_type() {
  const hid_t type = H5Tcreate(H5T_OPAQUE, 5);
  H5Tset_tag(type, "a tag");
  return type;
}

/// Attributes of every class of type, the last of a type that has a header of its own.
void write_attributes(hid_t file) {
  const hid_t object = H5Oopen(file, "/", H5P_DEFAULT);
  const hsize_t shape[] = {2, 3};
  attribute(object, "compound", compound_type());
  attribute(object, "enum", enum_type());
  attribute(object, "opaque", opaque_type());
  attribute(object, "array", H5Tarray_create2(H5T_IEEE_F32LE, 2, shape));
  attribute(object, "list", H5Tvlen_create(H5T_STD_I16LE));
  attribute(object, "bits", H5Tcopy(H5T_STD_B16LE));
  attribute(object, "reference", H5Tcopy(H5T_STD_REF_OBJ));
  attribute(object, "region", H5Tcopy(H5T_STD_REF_DSETREG));
  const hid_t kept = compound_type();
  H5Tcommit2(file, "kept", kept, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t other = H5Oopen(file, "/contiguous", H5P_DEFAULT);
  attribute(other, "of_kept", kept);
  H5Oclose(other);
  H5Oclose(object);
}

/// Datasets of every layout, more members than are kept in a header, and attributes.
void write_objects(RawH5File& file, int n_attributes, bool latest) {
  const std::vector<float> values(64);
  file.dataset("/contiguous", H5T_IEEE_F32LE, {64}, values.data());
  file.dataset("/compact", H5T_IEEE_F32LE, {64}, values.data(), {.compact = true});
  // The latest format has other indexes for several chunks.
  const std::vector<std::int64_t> chunk =
      latest ? std::vector<std::int64_t>{16, 4} : std::vector<std::int64_t>{2, 3};
  file.dataset("/chunked", H5T_IEEE_F32LE, {16, 4}, values.data(),
               {.chunk = chunk, .shuffle = true, .gzip = 1});
  file.dataset("/one_chunk", H5T_IEEE_F32LE, {64}, values.data(), {.chunk = {64}, .fletcher32 = true});
  file.group("/group");
  for (int i = 0; i < 100; ++i) {
    file.ints("/group/member" + std::to_string(i), {i});
  }
  for (int i = 0; i < n_attributes; ++i) file.attribute("/group", "attribute" + std::to_string(i), 1.5 * i);
}

hid_t create(const std::string& path, bool latest) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (latest) H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  return id;
}

TEST(H5HeaderCheck, LetsThroughWhatHdf5Writes) {
  const test::TemporaryFolder folder;
  for (const bool latest : {false, true}) {
    SCOPED_TRACE(latest);
    const std::string path = folder.file(latest ? "latest.h5" : "earliest.h5");
    const hid_t id = create(path, latest);
    const int n_attributes = latest ? 8 : 100;  // the latest format keeps more of them elsewhere
    {
      RawH5File file(id);
      write_objects(file, n_attributes, latest);
      write_attributes(id);
    }
    const H5Reader file(path);
    EXPECT_EQ(file.attribute_names("/").size(), 8U);
    EXPECT_EQ(file.attribute_names("/contiguous").size(), 1U);
    EXPECT_EQ(file.attribute_names("/group").size(), static_cast<std::size_t>(n_attributes));
    EXPECT_EQ(file.members("/group").size(), 100U);
    EXPECT_EQ(file.read_double("/group", "attribute7"), 10.5);
    EXPECT_EQ(file.read_int_dataset("/group/member42"), std::vector<std::int64_t>{42});
    for (const char* name : {"/contiguous", "/compact", "/chunked", "/one_chunk"}) {
      EXPECT_EQ(file.read_double_dataset(name), std::vector<double>(64)) << name;
    }
  }
}

/// HDF5 1.10 decodes what stands in a heap unchecked: a forged type there ended the process.
TEST(H5HeaderCheck, AttributesOutsideOfTheHeaderAreNotSupported) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("dense.h5");
  const hid_t id = create(path, true);
  {
    RawH5File file(id);
    for (int i = 0; i < 9; ++i) file.attribute("/", "attribute" + std::to_string(i), 1.5 * i);
  }
  expect_error(ErrorKind::kData, "so many attributes", [&] { H5Reader(path).attribute_names("/"); });
}

TEST(H5HeaderCheck, TypesInManyOthersAreNotCalledDamaged) {
  const test::TemporaryFolder folder;
  for (const int n_around : {7, 8}) {  // and the compound itself
    const std::string path = folder.file(std::to_string(n_around));
    hid_t type = compound_type();
    for (int i = 0; i < n_around; ++i) {
      const hid_t around = H5Tcreate(H5T_COMPOUND, 12);
      H5Tinsert(around, "inner", 0, type);
      H5Tclose(type);
      type = around;
    }
    const hid_t id = create(path, false);
    {
      RawH5File file(id);
      const hid_t root = H5Oopen(id, "/", H5P_DEFAULT);
      attribute(root, "nested", type);
      H5Oclose(root);
    }
    const auto use = [&] { return H5Reader(path).attribute_names("/").size(); };
    if (n_around == 8) {
      expect_error(ErrorKind::kData, path + ": /: types in more than 8 others are not supported", use);
    } else {
      EXPECT_EQ(use(), 1U);
    }
  }
}

/// HDF5 1.10 read through what such an index said, wherever it led.
TEST(H5HeaderCheck, NewerIndexesOfChunksAreNotSupported) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("chunks.h5");
  const hid_t id = create(path, true);
  const std::vector<float> values(64);
  {
    RawH5File file(id);
    file.dataset("/x", H5T_IEEE_F32LE, {16, 4}, values.data(), {.chunk = {2, 3}});
  }
  expect_error(ErrorKind::kData, "an index of chunks in the formats since HDF5 1.10 is not supported",
               [&] { H5Reader(path).info("/x"); });
}

TEST(H5HeaderCheck, ObjectsMayShareAType) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  constexpr int kDatasets = 200;
  {
    RawH5File file(path);
    const hid_t type = H5Tenum_create(H5T_STD_I16LE);
    for (std::int16_t i = 0; i < 300; ++i) H5Tenum_insert(type, ("member" + std::to_string(i)).c_str(), &i);
    ASSERT_GE(H5Tcommit2(file.id(), "kept", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), 0);
    const std::int16_t value = 7;
    for (int i = 0; i < kDatasets; ++i) file.dataset("/x" + std::to_string(i), type, {1}, &value);
    H5Tclose(type);
  }
  const H5Reader file(path);
  for (int i = 0; i < kDatasets; ++i) {
    EXPECT_EQ(file.info("/x" + std::to_string(i)).shape, std::vector<std::int64_t>{1});
  }
}

/// Where an object's header is in the file.
std::size_t header_of(const RawH5File& file, const std::string& object) {
  const hid_t id = H5Oopen(file.id(), object.c_str(), H5P_DEFAULT);
  H5O_info_t info;
  EXPECT_GE(H5Oget_info2(id, &info, H5O_INFO_BASIC), 0);
  H5Oclose(id);
  return info.addr;
}

/// Each group alone is sound, but together they took as long as the number of groups times that of members.
TEST(H5HeaderCheck, AnIndexOfManyGroupsIsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  std::size_t shared = 0;
  std::vector<std::size_t> groups;
  {
    RawH5File file(path);
    file.group("/shared");
    for (int i = 0; i < 1000; ++i) {
      H5Lcreate_hard(file.id(), "/shared", file.id(), ("/shared/member" + std::to_string(i)).c_str(),
                     H5P_DEFAULT, H5P_DEFAULT);
    }
    shared = header_of(file, "/shared");
    for (int i = 0; i < 100; ++i) {
      const std::string group = "/group" + std::to_string(i);
      file.group(group);
      groups.push_back(header_of(file, group));
    }
  }
  const auto look_up_all = [&] {
    const H5Reader file(path);
    for (const std::string& name : file.members("/")) EXPECT_TRUE(file.is_group("/" + name));
  };
  look_up_all();
  // Behind the front and the head of the first message: where the index is, and the names.
  std::string bytes = read_file(path, 1 << 24);
  for (const std::size_t group : groups) bytes.replace(group + 24, 16, bytes, shared + 24, 16);
  write_file_atomically(path, bytes);
  expect_error(ErrorKind::kData, "parts of it overlap, or are those of other objects", look_up_all);
}

/// A file in the early format with bytes changed at a place that follows a marker.
class DamagedHeaders : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<float> values(64);
    {
      RawH5File raw(path_);
      raw.attribute("/", "note", "a note");
      raw.dataset("/x", H5T_IEEE_F32LE, {16, 4}, values.data(), {.chunk = {2, 3}});
    }
    sound_ = read_file(path_, 1 << 20);
  }
  /// With values put in at distances from the first byte of the marker.
  void expect_damaged(const std::string& marker,
                      const std::vector<std::pair<std::size_t, std::uint64_t>>& changes,
                      const std::string& fragment) {
    SCOPED_TRACE(fragment);
    std::string bytes = sound_;
    const std::size_t at = bytes.find(marker);
    ASSERT_NE(at, std::string::npos);
    for (const auto& [distance, value] : changes) bytes[at + distance] = static_cast<char>(value);
    write_file_atomically(path_, bytes);
    const auto use = [&] {
      const H5Reader file(path_);
      file.has_attribute("/", "note");
      file.members("/");
      file.info("/x");
    };
    expect_error(ErrorKind::kData, fragment, use);
    expect_error(ErrorKind::kData, path_, use);
  }
  std::size_t place_of(const std::string& marker) const { return sound_.find(marker); }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("f.h5");
  std::string sound_;
};

TEST_F(DamagedHeaders, Superblock) {
  expect_damaged("\x89HDF", {{8, 9}}, "a version that is not known");
  expect_damaged("\x89HDF", {{13, 3}}, "addresses of a width");
  expect_damaged("\x89HDF", {{24, 1}}, "put in front of it is not supported");
  expect_damaged("\x89HDF", {{48, 0}}, "another driver");
  expect_damaged("\x89HDF", {{64 + 6, 1}}, "outside the file");
}

TEST_F(DamagedHeaders, Attributes) {
  expect_damaged("note", {{4, 'x'}}, "name has another length");
  expect_damaged("note", {{12, 8}}, "references of impossible size");
  expect_damaged("note", {{8, 0x1c}}, "a type that is not known");
  expect_damaged("note", {{8, 0x43}}, "a type of a newer HDF5 is not supported");
  expect_damaged("note", {{33, 32}}, "it ends too early");
  expect_damaged("note", {{33, 33}}, "a dataspace of impossible rank");
}

/// Read one by one they took hours.
TEST_F(DamagedHeaders, ContinuationsThatOverlap) {
  std::string bytes = sound_;
  const auto number = [](std::uint64_t value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const std::string head("\x10\0\x10\0\0\0\0\0", 8);
  constexpr std::size_t kParts = 64;
  constexpr std::size_t kPartBytes = std::size_t{256} << 10;
  const std::size_t first = bytes.size();
  const std::size_t n = kParts * (head.size() + 16);
  bytes[place_of("note") - 16] = head[0];
  bytes.replace(place_of("note") - 8, 16, number(first) + number(n));
  for (std::size_t i = 0; i < kParts; ++i)
    bytes += head + number(first + n + 8 * i) + number(kPartBytes - 8 * i);
  bytes.resize(bytes.size() + kPartBytes);
  write_file_atomically(path_, bytes);
  expect_error(ErrorKind::kData, "parts of it overlap", [&] { H5Reader file(path_); });
}

// A node of an index: type at 4, level at 5, entries at 6; its first child at 32, behind two addresses and a
// key.

TEST_F(DamagedHeaders, IndexesOfMembers) {
  const std::size_t tree = place_of("TREE");
  expect_damaged("TREE", {{0, 'X'}}, "no index");
  expect_damaged("TREE", {{5, 1}, {32, tree & 0xffU}, {33, tree >> 8U}}, "leads to a part twice");
  expect_damaged("TREE", {{7, 255}}, "outside the file");
  expect_damaged("SNOD", {{6, 9}}, "more members than fit");
  expect_damaged("SNOD", {{8 + 3, 1}}, "a name outside of its heap");
  expect_damaged("HEAP", {{8 + 6, 1}}, "outside the file");
}

TEST_F(DamagedHeaders, IndexesOfChunks) {
  const std::string marker("TREE\x01", 5);
  const std::size_t tree = place_of(marker);
  ASSERT_NE(tree, std::string::npos);
  const std::size_t child = 24 + 8 + 8 * 3;
  expect_damaged(marker, {{5, 1}, {6, 1}, {child, tree & 0xffU}, {child + 1, tree >> 8U}},
                 "leads to a part twice");
  expect_damaged(marker, {{0, 'X'}}, "no index");
}

}  // namespace
}  // namespace phase0::store
