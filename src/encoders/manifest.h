#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "encoders/messages.h"
#include "store/posix_file.h"

namespace phase0::encoders {

/// A line of a manifest: what is known of a sequence without its contents.
struct ManifestEntry {
  std::string id;
  std::string speaker;                   ///< integers in decimal
  std::int64_t offset = 0, n_bytes = 0;  ///< of the line in the file
  std::int64_t content_bytes = 0;        ///< of the line, or of the file that it names: tells the longest
};

/// The sequences to be encoded, one JSON object a line (data/ENCODER.md, "Manifest"). Texts stay in the file
/// until they are asked for. Thread-safe once open.
class Manifest {
 public:
  /// Reads and checks every line. Throws Error (kData) with file and line; kStorage.
  static Manifest open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<ManifestEntry>& entries() const { return entries_; }
  /// Tells manifests apart: every byte of the file, and size and time of change of the files that it names.
  const std::string& identity() const { return identity_; }
  /// What an encoder of `kind` is sent for an entry: its chunks, the lines of its text file that are not
  /// empty, or the absolute path of its wav file. Throws Error (kData) for an entry of the other kind, a file
  /// that cannot be read, and an item of more than `max_item_bytes`.
  std::vector<std::string> items(std::size_t entry, ItemKind kind, std::int64_t max_item_bytes) const;

 private:
  explicit Manifest(const std::string& path);

  std::string path_;
  store::FileDescriptor file_;
  std::vector<ManifestEntry> entries_;
  std::string identity_;
};

}  // namespace phase0::encoders
