#include "encoders/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "encoders/staged_rows.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::encoders {
namespace {

std::string write(const test::TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder.file(name), std::ios::binary) << text;
  return folder.file(name);
}

std::string line(int i) {
  return R"({"id":"s)" + std::to_string(i) + R"(","speaker":)" + std::to_string(i % 7) +
         R"(,"chunks":["one )" + std::to_string(i) + R"(","\u00e9"]})";
}

TEST(Manifest, FindsEveryLineAgain) {
  const test::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += line(i) + "\n";  // several blocks
  text += line(20'000);                                     // without a newline
  const Manifest manifest = Manifest::open(write(folder, "m.jsonl", text));
  ASSERT_EQ(manifest.entries().size(), 20'001U);
  for (const std::size_t i : {0, 1, 4999, 5000, 19'999, 20'000}) {
    EXPECT_EQ(manifest.entries()[i].id, "s" + std::to_string(i));
    EXPECT_EQ(manifest.entries()[i].speaker, std::to_string(i % 7));
    EXPECT_EQ(manifest.items(i, ItemKind::kText, 100),
              (std::vector<std::string>{"one " + std::to_string(i), "\xc3\xa9"}));
  }
}

TEST(Manifest, ReadsTextFilesAndNamesWavFiles) {
  const test::TemporaryFolder folder;
  const std::string file = write(folder, "text.txt", "\nfirst\r\n\nsecond");
  const Manifest manifest =
      Manifest::open(write(folder, "m.jsonl", R"({"id":"a","speaker":"s","path":")" + file + "\"}\n"));
  EXPECT_EQ(manifest.items(0, ItemKind::kText, 100), (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(manifest.items(0, ItemKind::kWav, 4096), (std::vector<std::string>{file}));
  test::expect_error(ErrorKind::kData, "item 0 has 5 bytes, the encoder takes 4",
                     [&] { manifest.items(0, ItemKind::kText, 4); });
  write(folder, "text.txt", "\xff");
  test::expect_error(ErrorKind::kData, "not UTF-8", [&] { manifest.items(0, ItemKind::kText, 100); });
  std::filesystem::remove(file);
  test::expect_error(ErrorKind::kData, "text.txt", [&] { manifest.items(0, ItemKind::kText, 100); });
}

TEST(Manifest, KnowsHowLongTheFilesAreThatItNames) {
  const test::TemporaryFolder folder;
  const std::string text = write(folder, "t.txt", std::string(5000, 'x'));
  const std::string lines = line(0) + "\n" + R"({"id":"a","speaker":"s","path":")" + text + "\"}\n";
  const Manifest manifest = Manifest::open(write(folder, "m.jsonl", lines));
  EXPECT_EQ(manifest.entries()[0].content_bytes, std::ssize(line(0)));
  EXPECT_EQ(manifest.entries()[1].content_bytes, 5000);
}

TEST(Manifest, NoticesThatItHasChanged) {
  const test::TemporaryFolder folder;
  const std::string path = write(folder, "m.jsonl", line(1) + "\n" + line(2) + "\n");
  const Manifest manifest = Manifest::open(path);
  std::ofstream(path, std::ios::in | std::ios::binary) << line(3);
  test::expect_error(ErrorKind::kData, "has changed", [&] { manifest.items(0, ItemKind::kText, 100); });
}

TEST(Manifest, IdentityCoversEveryByteAndTheFilesItNames) {
  const test::TemporaryFolder folder;
  const std::string text = write(folder, "t.txt", "first");
  const std::string lines = R"({"id":"a","speaker":"s","path":")" + text + "\"}\n" +
                            R"({"id":"b","speaker":"s","chunks":[")" + std::string(1 << 20, 'x') + "\"]}\n";
  const auto identity = [&](const std::string& contents) {
    return Manifest::open(write(folder, "m.jsonl", contents)).identity();
  };
  const std::string before = identity(lines);
  EXPECT_EQ(identity(lines), before);
  std::string changed = lines;
  changed[changed.size() / 2 + 12'345] = 'y';
  EXPECT_NE(identity(changed), before);
  write(folder, "t.txt", "first!");
  EXPECT_NE(identity(lines), before);
  write(folder, "t.txt", "FIRST");  // of the same size, later
  std::filesystem::last_write_time(text, std::filesystem::last_write_time(text) + std::chrono::seconds(1));
  EXPECT_NE(identity(lines), before);
}

TEST(Manifest, AnUnknownKeyIsQuotedInPart) {
  const test::TemporaryFolder folder;
  const std::string text = R"({")" + std::string(1 << 20, 'k') + R"(": 1})";
  test::expect_error(ErrorKind::kData, std::string(200, 'k') + "...\"; known are",
                     [&] { Manifest::open(write(folder, "m.jsonl", text)); });
}

TEST(Manifest, EmptyOnesAndFoldersAreRefused) {
  const test::TemporaryFolder folder;
  test::expect_error(ErrorKind::kData, "no sequence", [&] { Manifest::open(write(folder, "m.jsonl", "")); });
  test::expect_error(ErrorKind::kData, folder.path(), [&] { Manifest::open(folder.path()); });
}

/// Of two items, the first of which makes one row of them all at most.
SequenceRows rows_of(std::size_t sequence, std::int64_t n_rows) {
  const auto part = [&](std::int64_t n) {
    return std::vector<std::byte>(static_cast<std::size_t>(8 * n), static_cast<std::byte>(sequence));
  };
  const std::int64_t n_first = std::min<std::int64_t>(1, n_rows);
  return {n_rows, 8 * n_rows, {part(n_first), part(n_rows - n_first)}};
}

using RowsOf = std::map<std::size_t, std::int64_t>;

RowsOf n_rows(const StagedRows& staged) {
  RowsOf n_rows;
  for (const auto& sequence : staged.sequences()) n_rows[sequence.first] = sequence.second.n_rows;
  return n_rows;
}

/// What a power cut or a bad disk leaves of a file.
void change(const std::string& path, std::int64_t offset) {
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(offset) << 'x';
}

TEST(StagedRows, GoesOnWithWhatIsWhole) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("latents");
  {
    StagedRows staged(path, "key", 10, 8);
    staged.add(5, rows_of(5, 3));
    staged.add(2, rows_of(2, 0));
    staged.add(9, rows_of(9, 4));
    std::vector<std::byte> out(24);
    auto rows = staged.reader(9);
    rows.read(1, out.data());
    rows.read(3, out.data());
    EXPECT_EQ(out, std::vector<std::byte>(24, std::byte{9}));
    EXPECT_EQ(rows.left(), 0);
  }
  std::ofstream(path + ".index", std::ios::app) << "7 1";  // cut off
  std::ofstream(path + ".rows", std::ios::app) << "rest";
  {
    StagedRows staged(path, "key", 10, 8);
    EXPECT_EQ(n_rows(staged), (RowsOf{{2, 0}, {5, 3}, {9, 4}}));
    staged.add(7, rows_of(7, 1));
  }
  EXPECT_EQ(std::filesystem::file_size(path + ".rows"), 64U);
  EXPECT_TRUE(StagedRows(path, "another key", 10, 8).sequences().empty());
  StagedRows last(path, "key", 10, 8);
  EXPECT_TRUE(last.sequences().empty());
  last.remove();
  EXPECT_FALSE(std::filesystem::exists(path + ".rows"));
}

TEST(StagedRows, OneThatIsDamagedIsAsIfItWereNotThere) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("latents");
  {
    StagedRows staged(path, "key", 10, 8);
    for (const std::size_t number : {5U, 2U, 9U}) staged.add(number, rows_of(number, 2));
    change(path + ".rows", 17);
    auto rows = staged.reader(2);
    std::vector<std::byte> out(16);
    rows.read(2, out.data());
    test::expect_error(ErrorKind::kStorage, "not those that were written", [&] { rows.check(); });
  }
  {
    StagedRows staged(path, "key", 10, 8);
    EXPECT_EQ(n_rows(staged), (RowsOf{{5, 2}, {9, 2}}));
    staged.add(2, rows_of(2, 1));
  }
  EXPECT_EQ(n_rows(StagedRows(path, "key", 10, 8)), (RowsOf{{2, 1}, {5, 2}, {9, 2}}));
}

TEST(StagedRows, LinksAreNotFollowed) {
  const test::TemporaryFolder folder;
  const std::string other = write(folder, "other", "of somebody else");
  for (const char* name : {"latents.rows", "latents.index"}) {
    std::filesystem::create_symlink(other, folder.file(name));
    test::expect_error(ErrorKind::kStorage, std::string(name) + ": is a link",
                       [&] { StagedRows(folder.file("latents"), "key", 10, 8); });
    std::filesystem::remove(folder.file(name));
  }
  EXPECT_EQ(std::filesystem::file_size(other), 16U);
}

TEST(StagedRows, AChangedIndexIsNotBelieved) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("latents");
  StagedRows(path, "key", 10, 8).add(5, rows_of(5, 3));
  std::ifstream file(path + ".index");
  const std::string sound((std::istreambuf_iterator<char>(file)), {});
  for (const char* line : {"6 3 0 1", "5 3 8 1", "10 0 0 1", "99999999 0 0 1", "5 -1 0 1",
                           "5 9223372036854775807 0 1", "5 3 9223372036854775807 1", "", "5", "\x7f"}) {
    std::string text = sound;
    const std::size_t at = text.find('\n') + 1;
    std::ofstream(path + ".index") << text.replace(at, text.rfind(' ') - at, std::string(line));
    EXPECT_TRUE(StagedRows(path, "key", 10, 8).sequences().empty()) << line;
  }
}

}  // namespace
}  // namespace phase0::encoders
