#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>

#include "sources/npy_header.h"
#include "sources/open_source.h"
#include "sources/zip_directory.h"
#include "sources/zip_stream.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/source_room.h"
#include "support/temporary_folder.h"

namespace phase0::sources {
namespace {

using test::room;

std::vector<ZipEntry> read_directory(const InputFile& file) {
  SequenceList list(room().memory);
  return read_zip_directory(file, list);
}

using test::le;

std::uint16_t u16(std::size_t value) {
  return static_cast<std::uint16_t>(value);
}
std::uint32_t u32(std::size_t value) {
  return static_cast<std::uint32_t>(value);
}

std::string deflated(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = u32(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = u32(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A member as the archive tells of it, true or not.
struct Forged {
  std::string name = "a.npy";
  std::string packed;
  std::size_t bytes = 0;
  std::uint32_t crc = 0;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  std::string local_name = {};
  std::int64_t local = -1;  ///< where its header is said to be
  std::string extra = {};   ///< of the directory
};

Forged member(const std::string& name, const std::string& bytes, bool deflate = true) {
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), u32(bytes.size()));
  return {name, deflate ? deflated(bytes) : bytes, bytes.size(), u32(crc), u16(deflate ? 8 : 0)};
}

std::string archive(const std::vector<Forged>& members, const std::string& before_end = "") {
  std::string out;
  std::string directory;
  for (const Forged& m : members) {
    const std::string& local_name = m.local_name.empty() ? m.name : m.local_name;
    const std::string facts = le(m.flags) + le(m.method) + le(std::uint32_t{0}) + le(m.crc) +
                              le(u32(m.packed.size())) + le(u32(m.bytes));
    directory += "PK\1\2" + le(u16(20)) + le(u16(20)) + facts + le(u16(m.name.size())) +
                 le(u16(m.extra.size())) + std::string(10, '\0') +
                 le(u32(m.local < 0 ? out.size() : static_cast<std::size_t>(m.local))) + m.name + m.extra;
    out += "PK\3\4" + le(u16(20)) + facts + le(u16(local_name.size())) + le(u16(0)) + local_name + m.packed;
  }
  const std::size_t start = out.size();
  return out + directory + before_end + "PK\5\6" + std::string(4, '\0') + le(u16(members.size())) +
         le(u16(members.size())) + le(u32(directory.size())) + le(u32(start)) + le(u16(0));
}

class Zip : public ::testing::Test {
 protected:
  InputFile file(const std::string& bytes) const {
    return InputFile(test::write_bytes(folder_.file("a.npz"), bytes));
  }
  void refused(const std::string& bytes, const char* fragment) const {
    const InputFile source = file(bytes);
    test::expect_error(ErrorKind::kData, fragment, [&] { read_directory(source); });
  }
  /// Of the only member, unpacked in one go.
  void spoilt(const Forged& forged, const char* fragment) const {
    const InputFile source = file(archive({forged}));
    test::expect_error(ErrorKind::kData, fragment, [&] {
      const auto entries = read_directory(source);
      ZipStream stream(source, entries.at(0));
      stream.skip(entries.at(0).bytes);
      stream.finish();
    });
  }
  test::TemporaryFolder folder_;
};

std::string text(std::size_t n) {
  std::string out;
  for (std::size_t i = 0; out.size() < n; ++i) out += std::to_string(i * i) + " ";
  return out.substr(0, n);
}

TEST_F(Zip, UnpacksInAnyPieces) {
  const std::string a = text(300'000);
  const std::string b = text(1000);
  const InputFile source =
      file(archive({member("a.npy", a), member("b.npy", b, false), member("c.npy", "")}));
  const auto entries = read_directory(source);
  ASSERT_EQ(entries.size(), 3U);
  for (const std::int64_t piece : {7, 65536, 1'000'000}) {
    ZipStream stream(source, entries[0]);
    std::string out(a.size(), '\0');
    for (std::int64_t at = 0; at < std::ssize(a);) {
      const std::int64_t n = std::min<std::int64_t>(piece, std::ssize(a) - at);
      stream.read(n, out.data() + at);
      at += n;
    }
    stream.finish();
    EXPECT_EQ(out, a);
  }
  ZipStream stored(source, entries[1]);
  std::string out(b.size(), '\0');
  stored.read(std::ssize(b), out.data());
  stored.finish();
  EXPECT_EQ(out, b);
  ZipStream empty(source, entries[2]);
  empty.finish();
  test::expect_error(ErrorKind::kData, "ends too early", [&] { empty.skip(1); });
}

TEST_F(Zip, RefusesDamagedDirectories) {
  const std::string good = archive({member("a.npy", text(100)), member("b.npy", text(200))});
  refused("", "is not a zip archive");
  refused("PK", "is not a zip archive");
  refused(text(70'000), "is not a zip archive");
  refused(good.substr(0, good.size() - 1), "is not a zip archive");
  refused(good + "x", "is not a zip archive");  // a comment that nobody announced
  refused(good.substr(10), "damaged zip archive");
  const auto changed = [&](std::int64_t from_end, const std::string& bytes) {
    std::string out = good;
    return out.replace(out.size() - static_cast<std::size_t>(from_end), bytes.size(), bytes);
  };
  refused(changed(12, le(std::uint16_t{9})), "directory lies outside");
  refused(changed(10, le(std::uint32_t{0x7fffffff})), "directory lies outside");
  refused(changed(6, le(std::uint32_t{0x7fffffff})), "directory lies outside");
  refused(changed(6, le(std::uint32_t{0xffffffff})), "does not begin as it should");  // no ZIP64 record
  refused(changed(18, le(std::uint16_t{1})), "several parts");
  const std::string locator = "PK\6\7" + le(std::uint32_t{0}) + le(std::int64_t{-2}) + le(std::uint32_t{1});
  std::string forged = archive({member("a.npy", "x")}, locator);
  forged.replace(forged.size() - 6, 4, le(std::uint32_t{0xffffffff}));
  refused(forged, "beyond all files");
}

TEST_F(Zip, RefusesDamagedMembers) {
  const auto forged = [](const std::function<void(Forged&)>& change) {
    Forged m = member("a.npy", text(5000));
    change(m);
    return archive({m});
  };
  refused(forged([](Forged& m) { m.flags = 1; }), "is encrypted");
  refused(forged([](Forged& m) { m.method = 14; }), "packed by method 14");
  refused(forged([](Forged& m) { m.local_name = "b.npy"; }), "two names");
  refused(forged([](Forged& m) { m.local = 3; }), "does not begin as it should");
  refused(forged([](Forged& m) { m.name = m.local_name = "\xff.npy"; }), "is not UTF-8");
  refused(forged([](Forged& m) { m.method = 0; }), "has two sizes");
  refused(forged([](Forged& m) { m.bytes = 0x7fffffff; }), "claims to unpack");
  refused(forged([](Forged& m) { m.extra = le(u16(1)) + le(u16(100)); }), "extra field is too long");
  refused(forged([](Forged& m) {
            m.bytes = 0xffffffff;
            m.extra = le(u16(1)) + le(u16(4)) + "1234";
          }),
          "extra field is too short");
  refused(forged([](Forged& m) {
            m.bytes = 0xffffffff;
            m.extra = le(u16(1)) + le(u16(8)) + le(std::int64_t{-1});
          }),
          "beyond all files");
}

TEST_F(Zip, RefusesBombsOfOverlappingMembers) {
  Forged first = member("a.npy", text(5000));
  Forged second = first;
  second.local = 0;  // the same bytes again
  refused(archive({first, second}), "share bytes");
}

TEST_F(Zip, RefusesSpoiltBytes) {
  const Forged good = member("a.npy", text(5000));
  const auto spoil = [&](const std::function<void(Forged&)>& change, const char* fragment) {
    Forged m = good;
    change(m);
    spoilt(m, fragment);
  };
  spoil([](Forged& m) { m.crc ^= 1; }, "checksum");
  spoil([](Forged& m) { m.bytes -= 1; }, "unpacks to more");
  spoil([](Forged& m) { m.bytes += 1; }, "unpacks to less");
  spoil([](Forged& m) { m.packed.resize(m.packed.size() / 2); }, "end too early");
  spoil([](Forged& m) { m.packed.assign(m.packed.size(), '\xff'); }, "cannot be unpacked");
}

TEST_F(Zip, NpzHoldsArraysAndNothingElse) {
  const std::string path = folder_.file("a.npz");
  test::write_bytes(path, archive({member("readme.txt", "hello")}));
  test::expect_error(ErrorKind::kData, "readme.txt", [&] { open_npz(path, room()); });
  test::write_bytes(path, archive({member("a.npy", "hello")}));
  test::expect_error(ErrorKind::kData, "ends too early", [&] { open_npz(path, room()); });
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n";
  const std::string header = std::string("\x93NUMPY\x01\0", 8) + le(u16(dictionary.size())) + dictionary;
  test::write_bytes(path, archive({member("a.npy", header + "1234")}));
  test::expect_error(ErrorKind::kData, "but 4 follow", [&] { open_npz(path, room()); });
}

TEST_F(Zip, AnArrayThatIsChangedWhileItIsReadIsRefused) {
  const std::string path = folder_.file("a.npz");
  const std::string npy = npy_header(store::ElementType::kFloat32, {2, 8}) + std::string(2 * 8 * 4, '\0');
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = npy;
    return bytes.replace(bytes.find(from), from.size(), to);
  };
  const auto expect_refused = [&](const std::string& bytes, const char* fragment) {
    test::write_bytes(path, archive({member("a.npy", npy, false)}));
    const auto source = open_npz(path, room());
    test::write_bytes(path, archive({member("a.npy", bytes, false)}));  // in place
    std::vector<float> out(2 * 8);
    test::expect_error(ErrorKind::kData, fragment, [&] { source->read(0, 0, 2, out.data()); });
  };
  expect_refused(changed("(2, 8)", "(8, 2)"), "was changed while it was in use");
  expect_refused(changed("'<f4'", "'<f2'"), "follow its header");
  expect_refused(changed("(2, 8)", "(16,) "), "dimension(s)");
  const std::string columns = changed("False", "True ");
  expect_refused(std::string(columns).replace(columns.find("(2, 8)"), 6, "(4, 4)"), "was changed");
}

}  // namespace
}  // namespace phase0::sources
