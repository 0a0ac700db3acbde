#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "phase0/error.h"

/// Which file lies where in memory: what a SIGBUS handler needs to name the file whose page could not be had,
/// because somebody cut it, or its disk failed.
namespace phase0::store {

/// Enters a mapping while it lives. `path` must outlive it. Thread-safe; not to be copied or moved.
class MappedRange {
 public:
  /// `file_offset`: of the first byte. `damage`: what it is when the file ends too early.
  MappedRange(const void* base, std::int64_t bytes, const std::string& path, std::int64_t file_offset,
              ErrorKind damage);
  ~MappedRange();
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;

 private:
  void* entry_;
};

struct MappedPlace {
  const char* path = nullptr;
  std::int64_t offset = 0;
  ErrorKind damage = ErrorKind::kStorage;
};

/// The file behind an address, if one is mapped there. Async-signal-safe.
std::optional<MappedPlace> find_mapped(const void* address) noexcept;

/// Why the page at a place cannot be had. Async-signal-safe.
struct MappedFailure {
  ErrorKind kind = ErrorKind::kStorage;
  const char* message = nullptr;
};
MappedFailure explain(const MappedPlace& place) noexcept;

}  // namespace phase0::store
