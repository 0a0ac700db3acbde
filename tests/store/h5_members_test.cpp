#include "store/h5_members.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "fuzz/h5_checksums.h"
#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using test::RawH5File;

void write_members(const std::string& path, int n) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  RawH5File file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access));
  H5Pclose(access);
  file.group("/u0");
  for (int i = 1; i < n; ++i) {
    H5Lcreate_hard(file.id(), "/u0", file.id(), ("/u" + std::to_string(i)).c_str(), H5P_DEFAULT, H5P_DEFAULT);
  }
}

TEST(H5Members, AreReadWhateverTheirNumber) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  // One block and node; blocks and nodes below others; blocks of several sizes; two levels of nodes.
  for (const int n : {9, 100, 1000, 5000}) {
    SCOPED_TRACE(n);
    write_members(path, n);
    const H5Reader file(path);
    EXPECT_EQ(std::ssize(file.members("/")), n);
    EXPECT_TRUE(file.exists("/u7"));
    EXPECT_FALSE(file.exists("/u" + std::to_string(n)));
  }
}

/// Bytes changed at distances from the first byte of a mark, with the checksums that HDF5 would write.
class DamagedMembers : public testing::Test {
 protected:
  using Changes = std::vector<std::pair<std::size_t, std::uint64_t>>;

  void SetUp() override {
    write_members(path_, 100);
    sound_ = read_file(path_, 1 << 20);
  }
  std::size_t place_of(const std::string& mark, std::size_t from = 0) const {
    return sound_.find(mark, from);
  }

  void expect_damaged(const std::string& mark, const Changes& changes, const std::string& fragment) {
    SCOPED_TRACE(mark + ": " + fragment);
    std::string bytes = sound_;
    const std::size_t at = bytes.find(mark);
    ASSERT_NE(at, std::string::npos);
    for (const auto& [distance, value] : changes) bytes[at + distance] = static_cast<char>(value);
    fuzz::H5Checksums({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}).mend();
    write_file_atomically(path_, bytes);
    expect_error(ErrorKind::kData, fragment, [&] { H5Reader file(path_); });
    expect_error(ErrorKind::kData, path_, [&] { H5Reader file(path_); });
  }
  /// An address, at `distance`.
  static Changes address(std::size_t distance, std::size_t value) {
    return {{distance, value & 0xffU}, {distance + 1, value >> 8U & 0xffU}, {distance + 2, value >> 16U}};
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("f.h5");
  std::string sound_;
};

TEST_F(DamagedMembers, Index) {
  expect_damaged("BTHD", {{5, 6}}, "no index of members");
  expect_damaged("BTHD", {{6, 1}}, "as HDF5 makes none");
  expect_damaged("BTHD", {{9, 2}}, "as HDF5 makes none");
  expect_damaged("BTHD", {{10, 16}}, "as HDF5 makes none");
  expect_damaged("BTHD", {{12, 17}}, "impossible depth");
  expect_damaged("BTHD", {{12, 0}}, "no part of an index");
  expect_damaged("BTHD", {{24, 255}}, "more members than fit");
  expect_damaged("BTHD", {{24, 0}}, "whose root is empty");
  expect_damaged("BTHD", {{26, 99}}, "not as many members as it states");
  expect_damaged("BTHD", {{22, 1}}, "outside the file");
}

TEST_F(DamagedMembers, Nodes) {
  const std::size_t root = place_of("BTIN");
  ASSERT_NE(root, std::string::npos);
  const auto n = static_cast<std::size_t>(static_cast<std::uint8_t>(sound_[place_of("BTHD") + 24]));
  const std::size_t child = 6 + 11 * n;
  expect_damaged("BTIN", address(child, root), "leads to a part twice");
  expect_damaged("BTIN", {{child + 8, 200}}, "more members than fit");
  expect_damaged("BTIN", {{child + 8, 1}}, "not as many members as it states");
  const std::size_t second = child + 9;
  Changes twice;
  for (std::size_t i = 0; i < 9; ++i) {
    twice.emplace_back(child + i, static_cast<std::uint8_t>(sound_[root + second + i]));
  }
  expect_damaged("BTIN", twice, "out of order");
  expect_damaged("BTIN", {{6 + 4, 0x20}}, "no object of the heap");
  expect_damaged("BTLF", {{6 + 4, 0x10}}, "no object of the heap");
  expect_damaged("BTLF", {{6 + 5, 0}, {6 + 6, 0}}, "outside of its heap");
  expect_damaged("BTLF", {{6 + 8, 1}}, "outside of its heap");
  expect_damaged("BTLF", {{6 + 9, 255}, {6 + 10, 255}}, "outside of its heap");
  expect_damaged("BTLF", {{6 + 9, 9}}, "it ends too early");
}

/// They hid the member from HDF5's search.
TEST_F(DamagedMembers, Hashes) {
  const std::size_t leaf = place_of("BTLF");
  const auto low = static_cast<std::uint8_t>(sound_[leaf + 6]);
  expect_damaged("BTLF", {{6, low ^ 1U}}, "a hash that is not its member's");
  expect_damaged("BTLF", {{6, 255}, {7, 255}, {8, 255}, {9, 255}}, "a hash that is not its member's");
  Changes swapped;
  for (std::size_t i = 0; i < 11; ++i) {
    swapped.emplace_back(6 + i, static_cast<std::uint8_t>(sound_[leaf + 17 + i]));
    swapped.emplace_back(17 + i, static_cast<std::uint8_t>(sound_[leaf + 6 + i]));
  }
  expect_damaged("BTLF", swapped, "out of order");
}

/// Names of objects in a heap of other widths were longer than HDF5 keeps: it read behind them.
TEST_F(DamagedMembers, Heap) {
  for (const auto& [at, value] :
       Changes{{5, 12}, {7, 1}, {9, 0}, {11, 32}, {110, 3}, {113, 4}, {122, 2}, {128, 63}}) {
    expect_damaged("FRHP", {{at, value}}, "a heap of members as HDF5 makes none");
  }
  expect_damaged("FRHP", {{25, 0}}, "name has thousands of bytes");
  expect_damaged("FRHP", {{140, 23}}, "too many rows");
  expect_damaged("FRHP", {{140, 0}}, "no block of a heap");
  expect_damaged("FRHP", address(132, place_of("FRHP")), "no block of a heap");
  const std::size_t child = 5 + 8 + 4;
  const std::size_t block = place_of("FHDB");
  expect_damaged("FHIB", address(child, place_of("FHIB")), "no block of a heap");
  expect_damaged("FHIB", address(child + 8, block), "leads to a block twice");
  expect_damaged("FHIB", {{child + 3, 1}}, "outside the file");
  const std::size_t link = 5 + 8 + 4 + 4;
  expect_damaged("FHDB", {{link, 2}}, "a link that is not known");
  expect_damaged("FHDB", {{link + 2, 200}}, "it ends too early");
}

}  // namespace
}  // namespace phase0::store
