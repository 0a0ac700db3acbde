#include "store/mapped_ranges.h"

#include <sys/stat.h>

#include <atomic>

namespace phase0::store {
namespace {

/// Entries are used again but never freed, so that a signal handler may walk them at any time.
struct Entry {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0}, end{0};  ///< begin == end: nothing
  std::atomic<const char*> path{nullptr};
  std::atomic<std::int64_t> file_offset{0};
  std::atomic<ErrorKind> damage{ErrorKind::kStorage};
  Entry* next = nullptr;  ///< fixed once the entry is in the list
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

// A signal handler has no other way to reach the program than globals.
std::atomic<Entry*> entries{nullptr};

Entry& take_entry() {
  for (Entry* entry = entries.load(); entry != nullptr; entry = entry->next) {
    if (!entry->taken.exchange(true)) return *entry;
  }
  auto* entry = new Entry;
  entry->taken.store(true);
  entry->next = entries.load();
  while (!entries.compare_exchange_weak(entry->next, entry)) {
  }
  return *entry;
}

}  // namespace

MappedRange::MappedRange(const void* base, std::int64_t bytes, const std::string& path,
                         std::int64_t file_offset, ErrorKind damage) {
  Entry& entry = take_entry();
  entry.path.store(path.c_str());
  entry.file_offset.store(file_offset);
  entry.damage.store(damage);
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  entry.begin.store(begin);
  entry.end.store(begin + static_cast<std::uintptr_t>(bytes));  // last: from here on it is found
  entry_ = &entry;
}

MappedRange::~MappedRange() {
  auto& entry = *static_cast<Entry*>(entry_);
  entry.end.store(0);
  entry.begin.store(0);
  entry.taken.store(false);
}

std::optional<MappedPlace> find_mapped(const void* address) noexcept {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  for (const Entry* entry = entries.load(); entry != nullptr; entry = entry->next) {
    const std::uintptr_t begin = entry->begin.load();
    if (wanted < begin || wanted >= entry->end.load()) continue;
    return MappedPlace{entry->path.load(),
                       entry->file_offset.load() + static_cast<std::int64_t>(wanted - begin),
                       entry->damage.load()};
  }
  return std::nullopt;
}

MappedFailure explain(const MappedPlace& place) noexcept {
  struct stat status {};
  const bool known = ::stat(place.path, &status) == 0 && S_ISREG(status.st_mode);
  if (known && status.st_size <= place.offset) {
    return {place.damage, "the file ends too early: it was cut while it was in use"};
  }
  return {ErrorKind::kStorage, "cannot be read or written through its map"};
}

}  // namespace phase0::store
