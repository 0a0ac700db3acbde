#include "sources/zip_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/text.h"

namespace phase0::sources {
namespace {

constexpr std::int64_t kEndBytes = 22;
constexpr std::int64_t kEnd64Bytes = 56;
constexpr std::int64_t kLocatorBytes = 20;
constexpr std::int64_t kCentralBytes = 46;
constexpr std::int64_t kLocalBytes = 30;
constexpr std::int64_t kMaxCommentBytes = 0xffff;
constexpr std::int64_t kUse64 = 0xffffffff;
/// Deflate codes a run of 258 bytes in no less than 2 bits.
constexpr std::int64_t kMostDeflated = 1032;

/// Bytes of the file, and little-endian numbers in them.
class Record {
 public:
  Record(const InputFile& file, std::int64_t offset, std::int64_t size) : file_(file), offset_(offset) {
    if (offset < 0 || size > file.size() - offset) fail("the archive ends within its directory");
    bytes_.resize(static_cast<std::size_t>(size));
    file.read(offset, size, bytes_.data());
  }
  [[noreturn]] void fail(const std::string& why) const { file_.fail("damaged zip archive: " + why, offset_); }
  std::string_view text(std::int64_t at, std::int64_t n) const {
    if (at + n > std::ssize(bytes_)) fail("a field is longer than its record");
    return std::string_view(bytes_).substr(static_cast<std::size_t>(at), static_cast<std::size_t>(n));
  }
  std::int64_t number(std::int64_t at, int n) const {
    std::uint64_t value = 0;
    const std::string_view field = text(at, n);
    for (int i = n - 1; i >= 0; --i) {
      value = value << 8U | static_cast<unsigned char>(field[static_cast<std::size_t>(i)]);
    }
    if (value > static_cast<std::uint64_t>(INT64_MAX)) fail("a size is beyond all files");
    return static_cast<std::int64_t>(value);
  }
  std::int64_t size() const { return std::ssize(bytes_); }
  void expect(std::string_view signature) const {
    if (text(0, 4) != signature) fail("a record does not begin as it should");
  }

 private:
  const InputFile& file_;
  std::int64_t offset_;
  std::string bytes_;
};

struct Directory {
  std::int64_t offset = 0, size = 0, entries = 0;
};

/// The end record stands at the end, behind nothing but a comment that it tells the length of.
std::int64_t find_end(const InputFile& file) {
  const std::int64_t size = std::min(file.size(), kEndBytes + kMaxCommentBytes);
  const Record tail(file, file.size() - size, size);
  for (std::int64_t at = size - kEndBytes; at >= 0; --at) {
    if (tail.text(at, 4) == "PK\5\6" && tail.number(at + 20, 2) == size - at - kEndBytes) {
      return file.size() - size + at;
    }
  }
  file.fail("is not a zip archive, or was cut short: it has no directory");
}

Directory find_directory(const InputFile& file) {
  std::int64_t end = find_end(file);
  const Record record(file, end, kEndBytes);
  Directory directory{record.number(16, 4), record.number(12, 4), record.number(10, 2)};
  if (directory.offset == kUse64 || directory.size == kUse64 || directory.entries == 0xffff) {
    const Record locator(file, end - kLocatorBytes, kLocatorBytes);
    locator.expect("PK\6\7");
    end = locator.number(8, 8);
    const Record record64(file, end, kEnd64Bytes);
    record64.expect("PK\6\6");
    directory = {record64.number(48, 8), record64.number(40, 8), record64.number(32, 8)};
  }
  if (record.number(4, 2) != 0 && record.number(4, 2) != 0xffff) record.fail("it is one of several parts");
  if (directory.size > end || directory.offset > end - directory.size ||
      directory.entries > directory.size / kCentralBytes) {
    record.fail("the directory lies outside the file");
  }
  return directory;
}

/// Sizes that do not fit 32 bits stand in the extra field 1, those only.
void apply_zip64(const Record& record, std::int64_t at, std::int64_t end, std::int64_t& local,
                 ZipEntry& entry) {
  while (at + 4 <= end) {
    const std::int64_t id = record.number(at, 2);
    const std::int64_t size = record.number(at + 2, 2);
    std::int64_t field = at + 4;
    at = field + size;
    if (at > end) record.fail("an extra field is too long");
    if (id != 1) continue;
    for (std::int64_t* value : {&entry.bytes, &entry.packed_bytes, &local}) {
      if (*value != kUse64) continue;
      if (field + 8 > at) record.fail("an extra field is too short");
      *value = record.number(field, 8);
      field += 8;
    }
  }
}

void check_name(const ZipEntry& entry, bool utf8, const Record& record) {
  const bool ascii = std::all_of(entry.name.begin(), entry.name.end(), [](char c) { return c >= 0; });
  if (!ascii && !(utf8 && core::is_valid_utf8(entry.name))) record.fail("a name is not UTF-8");
}

/// Where the bytes of a member begin; its own header must tell of the same member.
std::int64_t find_data(const InputFile& file, std::int64_t local, const ZipEntry& entry) {
  const Record fixed(file, local, kLocalBytes);
  fixed.expect("PK\3\4");
  const std::int64_t name_bytes = fixed.number(26, 2);
  const Record name(file, local + kLocalBytes, name_bytes);
  if (name.text(0, name_bytes) != entry.name) name.fail("a member has two names");
  return local + kLocalBytes + name_bytes + fixed.number(28, 2);
}

struct Member {
  ZipEntry entry;
  std::int64_t local = 0;
};

/// The entry at `at` of the directory; `at` goes on to the next.
Member read_member(const InputFile& file, std::int64_t& at, std::int64_t end) {
  const Record fixed(file, at, kCentralBytes);
  fixed.expect("PK\1\2");
  const std::int64_t flags = fixed.number(8, 2);
  const std::int64_t method = fixed.number(10, 2);
  const std::int64_t name_bytes = fixed.number(28, 2);
  const std::int64_t extra_bytes = fixed.number(30, 2);
  const Record record(file, at, kCentralBytes + name_bytes + extra_bytes);
  Member member;
  ZipEntry& entry = member.entry;
  entry.name = record.text(kCentralBytes, name_bytes);
  entry.crc = static_cast<std::uint32_t>(record.number(16, 4));
  entry.packed_bytes = record.number(20, 4);
  entry.bytes = record.number(24, 4);
  member.local = record.number(42, 4);
  apply_zip64(record, kCentralBytes + name_bytes, record.size(), member.local, entry);
  check_name(entry, (flags & 0x800) != 0, record);
  if ((flags & 1) != 0) record.fail(entry.name + " is encrypted");
  if (method != 0 && method != 8) {
    record.fail(fmt::format("{} is packed by method {}; stored and deflated are read", entry.name, method));
  }
  entry.deflated = method == 8;
  at += record.size() + fixed.number(32, 2);
  if (at > end) record.fail("the directory is longer than it says");
  return member;
}

void check_extent(const InputFile& file, std::int64_t limit, const ZipEntry& entry) {
  if (entry.data > limit || entry.packed_bytes > limit - entry.data) {
    file.fail("damaged zip archive: " + entry.name + " reaches into the directory", entry.data);
  }
  if (!entry.deflated && entry.bytes != entry.packed_bytes) {
    file.fail("damaged zip archive: " + entry.name + " is stored, but has two sizes", entry.data);
  }
  if (entry.bytes / kMostDeflated > entry.packed_bytes) {
    file.fail(fmt::format("damaged zip archive: {} claims to unpack from {} to {} bytes", entry.name,
                          entry.packed_bytes, entry.bytes),
              entry.data);
  }
}

void check_apart(const InputFile& file, const std::vector<Member>& members) {
  std::vector<const Member*> sorted;
  for (const Member& member : members) sorted.push_back(&member);
  std::sort(sorted.begin(), sorted.end(),
            [](const Member* a, const Member* b) { return a->local < b->local; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const ZipEntry& before = sorted[i - 1]->entry;
    if (before.data + before.packed_bytes > sorted[i]->local) {
      file.fail(fmt::format("damaged zip archive: {} and {} share bytes", before.name, sorted[i]->entry.name),
                sorted[i]->local);
    }
  }
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(const InputFile& file, SequenceList& list) {
  const Directory directory = find_directory(file);
  list.expect(directory.entries, directory.size - directory.entries * kCentralBytes);
  const std::int64_t end = directory.offset + directory.size;
  std::vector<Member> members;
  std::int64_t at = directory.offset;
  for (std::int64_t i = 0; i < directory.entries; ++i) {
    Member member = read_member(file, at, end);
    member.entry.data = find_data(file, member.local, member.entry);
    check_extent(file, directory.offset, member.entry);
    members.push_back(std::move(member));
  }
  check_apart(file, members);
  std::vector<ZipEntry> entries;
  entries.reserve(members.size());
  for (Member& member : members) entries.push_back(std::move(member.entry));
  return entries;
}

}  // namespace phase0::sources
