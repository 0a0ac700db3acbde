#include "store/h5_superblock.h"

#include "store/h5_fields.h"

namespace phase0::store {
namespace {

constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kSignatureBytes = sizeof kSignature - 1;
/// More than any version takes.
constexpr std::int64_t kMostBytes = 128;

H5Superblock parse(H5Fields fields, std::uint64_t place) {
  H5Superblock block;
  fields.skip(kSignatureBytes);
  const unsigned version = fields.byte();
  fields.expect(version <= 3, "a version that is not known");
  const bool old = version < 2;
  if (old) fields.skip(4);
  block.address_bytes = fields.byte();
  block.length_bytes = fields.byte();
  const auto is_width = [](std::size_t n) { return n == 4 || n == 8; };
  fields.expect(is_width(block.address_bytes) && is_width(block.length_bytes),
                "addresses of a width that is not known");
  fields.skip(1);  // flags, or reserved
  if (old) {
    block.most_symbols = 2 * static_cast<unsigned>(fields.number(2));
    fields.skip(version == 0 ? 6 : 10);  // sizes of other nodes, flags
  }
  const auto address = [&] { return fields.number(block.address_bytes); };
  block.base_address = address();
  if (block.base_address != place) fields.unsupported("a file with something put in front of it");
  const std::uint64_t extension = address();  // in old ones the free space, which is not used
  const std::uint64_t end = address();
  if (old) {
    fields.expect(!is_defined_address(address(), block.address_bytes), "a file of another driver");
    fields.skip(block.length_bytes);  // of the root group's name
  }
  block.headers.push_back(address());
  if (!old && is_defined_address(extension, block.address_bytes)) block.headers.push_back(extension);
  fields.expect(end > place, "an end before its beginning");
  return block;
}

}  // namespace

H5Superblock read_superblock(const FileDescriptor& file, std::int64_t file_bytes, const std::string& path,
                             ErrorKind damage) {
  // It stands at 0, 512, 1024, 2048, ...
  for (std::int64_t place = 0; place < file_bytes; place = place == 0 ? 512 : 2 * place) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(kMostBytes, file_bytes - place)));
    read_exactly(file, place, std::ssize(bytes), bytes.data(), path, damage);
    const H5Fields fields(bytes, {path, "", damage});
    if (fields.starts_with(kSignature, kSignatureBytes))
      return parse(fields, static_cast<std::uint64_t>(place));
  }
  return {};
}

}  // namespace phase0::store
