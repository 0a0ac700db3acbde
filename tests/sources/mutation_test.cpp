// Any byte of a source changed to any of a few others: it is read, or refused as bad data, and nothing else.
#include <gtest/gtest.h>
#include <zlib.h>

#include "phase0/error.h"
#include "sources/npy_header.h"
#include "sources/open_source.h"
#include "support/bytes.h"
#include "support/sanitizers.h"
#include "support/source_room.h"
#include "support/temporary_folder.h"

namespace phase0::sources {
namespace {

using test::room;

using test::le;

std::string npy(bool fortran) {
  std::string bytes = npy_header(store::ElementType::kFloat32, {4, 3});
  if (fortran) bytes.replace(bytes.find("False"), 5, "True ");
  for (int i = 0; i < 12; ++i) bytes += le(static_cast<float>(i));
  return bytes;
}

std::string stored_npz(const std::string& array) {
  const auto u16 = [](std::size_t value) { return le(static_cast<std::uint16_t>(value)); };
  const auto u32 = [](std::size_t value) { return le(static_cast<std::uint32_t>(value)); };
  const std::string name = "a.npy";
  const std::string facts =
      u16(0) + u16(0) + u32(0) +
      u32(crc32(0, reinterpret_cast<const Bytef*>(array.data()), static_cast<uInt>(array.size()))) +
      u32(array.size()) + u32(array.size()) + u16(name.size());
  const std::string local = "PK\3\4" + u16(20) + facts + u16(0) + name + array;
  const std::string central = "PK\1\2" + u16(20) + u16(20) + facts + u16(0) + std::string(14, '\0') + name;
  return local + central + "PK\5\6" + u32(0) + u16(1) + u16(1) + u32(central.size()) + u32(local.size()) +
         u16(0);
}

std::string ark() {
  const auto sized = [](std::int32_t value) { return '\4' + le(value); };
  const std::string binary("\0B", 2);
  std::string bytes = "a " + binary + "FM " + sized(2) + sized(2) + std::string(16, '\1');
  for (const char* type : {"CM", "CM2", "CM3"}) {
    const std::string kind(type);
    const int size = kind == "CM" ? 2 * 8 + 6 : kind == "CM2" ? 12 : 6;
    bytes += kind + " " + binary + kind + " " + le(0.0F) + le(1.0F) + le(3) + le(2) +
             std::string(static_cast<std::size_t>(size), '\7');
  }
  return bytes;
}

void read_all(SequenceReader& source) {
  for (std::int64_t s = 0; s < std::ssize(source.sequences()); ++s) {
    const Sequence& sequence = source.sequences()[static_cast<std::size_t>(s)];
    std::vector<std::byte> row(static_cast<std::size_t>(sequence.dim * store::element_size(sequence.type)));
    for (std::int64_t t = 0; t < sequence.n_frames; ++t) source.read(s, t, 1, row.data());
  }
}

/// How often it was read, of all changes.
template <typename Open>
int mutate(const std::string& path, const std::string& good, const Open& open) {
  int read = 0;
  const std::size_t step = test::kSanitized ? 3 : 1;
  for (std::size_t at = 0; at < good.size(); at += step) {
    for (const char c : {'\0', '\xff', static_cast<char>(good[at] ^ 1)}) {
      std::string bytes = good;
      bytes[at] = c;
      test::write_bytes(path, bytes);
      try {
        read_all(*open());
        ++read;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kData) << at << ": " << error.what();
      }
    }
    test::write_bytes(path, std::string_view(good).substr(0, at));
    try {
      read_all(*open());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << "cut at " << at << ": " << error.what();
    }
  }
  return read;
}

TEST(Mutation, NpyFiles) {
  const test::TemporaryFolder folder;
  for (const bool fortran : {false, true}) {
    const int read =
        mutate(folder.file("a.npy"), npy(fortran), [&] { return open_npy_folder(folder.path(), room()); });
    EXPECT_GT(read, 40);  // changed values, spaces between keys
  }
}

TEST(Mutation, NpzFiles) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("a.npz");
  EXPECT_GT(mutate(path, stored_npz(npy(false)), [&] { return open_npz(path, room()); }), 10);
}

TEST(Mutation, KaldiArchives) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("a.ark");
  EXPECT_GT(mutate(path, ark(), [&] { return open_kaldi_ark(path, room()); }), 50);
}

}  // namespace
}  // namespace phase0::sources
