#include "store/h5_chunks.h"

#include <gtest/gtest.h>
#include <hdf5.h>
#include <zlib.h>
#include <zstd.h>

#include <array>

#include "store/atomic_file.h"
#include "store/h5_reader.h"
#include "store/h5_zstd.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using Bytes = std::vector<std::byte>;

Bytes gzip(const Bytes& in) {
  uLongf n = ::compressBound(in.size());
  Bytes out(n);
  EXPECT_EQ(::compress(reinterpret_cast<Bytef*>(out.data()), &n, reinterpret_cast<const Bytef*>(in.data()),
                       in.size()),
            Z_OK);
  out.resize(n);
  return out;
}

Bytes zstd(const Bytes& in) {
  Bytes out(ZSTD_compressBound(in.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 1));
  return out;
}

std::string decode(const std::vector<ChunkFilter>& filters, std::int64_t chunk_bytes, Bytes& raw,
                   std::uint32_t skipped = 0) {
  Bytes spare;
  return decode_chunk(filters, skipped, chunk_bytes, raw, spare);
}

TEST(DecodeChunk, RefusesChunksOfAnotherSize) {
  const std::vector<ChunkFilter> with_gzip = {{H5Z_FILTER_DEFLATE, {6}}};
  const std::vector<ChunkFilter> with_zstd = {{kZstdFilter, {3}}};
  const Bytes hundred(100, std::byte{7});
  Bytes raw = gzip(hundred);
  EXPECT_EQ(decode(with_gzip, 100, raw), "");
  EXPECT_EQ(raw, hundred);
  raw = zstd(hundred);
  EXPECT_EQ(decode(with_zstd, 100, raw), "");
  EXPECT_EQ(raw, hundred);
  for (const std::int64_t stated : {1, 90, 99, 101, 1000}) {
    raw = gzip(hundred);
    EXPECT_NE(decode(with_gzip, stated, raw), "") << stated;
    raw = zstd(hundred);
    EXPECT_NE(decode(with_zstd, stated, raw), "") << stated;
    raw = hundred;
    EXPECT_NE(decode({}, stated, raw), "") << stated;
  }
}

TEST(DecodeChunk, RefusesDamagedData) {
  const Bytes zeros(1000, std::byte{0});
  Bytes raw = gzip(zeros);
  raw.resize(raw.size() / 2);
  EXPECT_NE(decode({{H5Z_FILTER_DEFLATE, {}}}, 1000, raw), "");
  raw = gzip(zeros);
  raw.back() ^= std::byte{1};
  EXPECT_NE(decode({{H5Z_FILTER_DEFLATE, {}}}, 1000, raw), "");
  raw = zstd(zeros);
  raw.resize(raw.size() - 1);
  EXPECT_NE(decode({{kZstdFilter, {}}}, 1000, raw), "");
  raw = {};
  EXPECT_NE(decode({{kZstdFilter, {}}}, 1000, raw), "");
  raw = Bytes(3);
  EXPECT_NE(decode({{H5Z_FILTER_FLETCHER32, {}}}, 3, raw), "");
  raw = Bytes(8);
  EXPECT_NE(decode({{H5Z_FILTER_SHUFFLE, {}}}, 8, raw), "");
  EXPECT_NE(decode({{H5Z_FILTER_SHUFFLE, {0}}}, 8, raw), "");
  EXPECT_NE(decode({{H5Z_FILTER_SHUFFLE, {0xffffffff}}}, 8, raw), "");
}

TEST(DecodeChunk, AFilterMayHaveBeenSkipped) {
  const Bytes hundred(100, std::byte{7});
  Bytes raw = hundred;
  EXPECT_EQ(decode({{H5Z_FILTER_SHUFFLE, {4}}, {H5Z_FILTER_DEFLATE, {}}}, 100, raw, 2), "");
  EXPECT_EQ(raw, hundred);
}

TEST(DecodeChunk, AWrongChecksumInAFileIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  std::vector<std::uint8_t> values(1001);  // odd: the checksum has a last half word
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * 7);
  {
    test::RawH5File raw(path);
    raw.dataset("/x", H5T_STD_U8LE, {1001}, values.data(), {.chunk = {1001}, .fletcher32 = true});
  }
  std::vector<std::uint8_t> out(1001);
  H5Reader(path).read_rows("/x", ElementType::kUInt8, 0, 1001, out.data());
  EXPECT_EQ(out, values);
  std::string bytes = read_file(path, 1 << 20);
  const std::size_t at = bytes.find(std::string(values.begin(), values.begin() + 20));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 5] = static_cast<char>(bytes[at + 5] ^ 1);
  write_file_atomically(path, bytes);
  expect_error(ErrorKind::kData, "checksum is wrong",
               [&] { H5Reader(path).read_rows("/x", ElementType::kUInt8, 0, 1001, out.data()); });
}

/// HDF5 reads as much of an unfiltered chunk as its index entry says, whatever the shape says.
TEST(DecodeChunk, AnIndexEntryOfAnotherSizeIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::vector<std::uint8_t> values(48, 7);
  {
    test::RawH5File raw(path);
    raw.dataset("/x", H5T_STD_U8LE, {48}, values.data(), {.chunk = {24}});
  }
  // Keys of the chunk B-tree: stored size, skipped filters, origin of the chunk and of the element.
  const std::string good = read_file(path, 1 << 20);
  const auto key = [&](std::uint32_t origin) {
    const std::uint32_t words[] = {24, 0, origin, 0, 0, 0};
    const std::size_t at = good.find(std::string(reinterpret_cast<const char*>(words), sizeof(words)));
    EXPECT_NE(at, std::string::npos);
    return at;
  };
  for (const auto& [first, second] : {std::pair{8, 24}, {40, 24}, {8, 40}}) {
    std::string bytes = good;
    bytes[key(0)] = static_cast<char>(first);
    bytes[key(24)] = static_cast<char>(second);
    write_file_atomically(path, bytes);
    expect_error(ErrorKind::kData, "not of the size it states", [&] { H5Reader(path).info("/x"); });
  }
}

/// A file of many unfiltered chunks of 8 bytes, with keys of its index forged: stored size, skipped filters,
/// origin of the chunk and of the element.
class ManyChunks : public testing::Test {
 protected:
  using Key = std::array<std::uint32_t, 6>;

  void SetUp() override {
    const std::vector<std::uint8_t> values(12'000, 7);
    {
      test::RawH5File raw(path_);
      raw.dataset("/x", H5T_STD_U8LE, {12'000}, values.data(), {.chunk = {8}});
    }
    bytes_ = read_file(path_, 1 << 20);
  }
  void forge(std::uint32_t origin, const Key& forged) {
    const auto text = [](const Key& key) {
      return std::string(reinterpret_cast<const char*>(key.data()), sizeof(Key));
    };
    const std::size_t at = bytes_.find(text({8, 0, origin, 0, 0, 0}));
    ASSERT_NE(at, std::string::npos);
    bytes_.replace(at, sizeof(Key), text(forged));
    write_file_atomically(path_, bytes_);
  }
  void expect_refused(const std::string& fragment) const {
    std::vector<std::uint8_t> out(12'000);
    expect_error(ErrorKind::kData, fragment,
                 [&] { H5Reader(path_).read_rows("/x", ElementType::kUInt8, 0, 12'000, out.data()); });
    expect_error(ErrorKind::kData, fragment, [&] { H5Reader(path_).read_int_dataset("/x"); });
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("f.h5");
  std::string bytes_;
};

TEST_F(ManyChunks, OneOfAnotherSizeIsFound) {
  forge(40, {4, 0, 40, 0, 0, 0});
  forge(48, {12, 0, 48, 0, 0, 0});
  expect_refused("not of the size it states");
}

/// HDF5 filled the gap with zeros.
TEST_F(ManyChunks, OneThatIsMissingIsFound) {
  forge(48, {8, 0, 56, 0, 0, 0});
  expect_refused("its chunk at row 48 is not stored");
}

/// A chunk whose data is shorter than its shape says, written past the filters.
TEST(DecodeChunk, AShortChunkInAFileIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    test::RawH5File raw(path);
    raw.dataset("/x", H5T_STD_I64LE, {4096}, std::vector<std::int64_t>(4096).data(),
                {.chunk = {4096}, .gzip = 1});
    const Bytes shorter = gzip(Bytes(64));
    const hid_t dataset = H5Dopen2(raw.id(), "/x", H5P_DEFAULT);
    const hsize_t origin = 0;
    ASSERT_GE(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, &origin, shorter.size(), shorter.data()), 0);
    H5Dclose(dataset);
  }
  const H5Reader file(path);
  std::vector<std::int64_t> out(4096);
  expect_error(ErrorKind::kData, "holds 64 bytes where 32768",
               [&] { file.read_rows("/x", ElementType::kInt64, 0, 10, out.data()); });
  expect_error(ErrorKind::kData, "holds 64 bytes where 32768", [&] { file.read_int_dataset("/x"); });
}

}  // namespace
}  // namespace phase0::store
