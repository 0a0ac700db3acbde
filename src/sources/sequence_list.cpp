#include "sources/sequence_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/checked.h"
#include "phase0/error.h"

namespace phase0::sources {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
/// The name of a sequence, its copies on the way to HDF5, and what stands beside it.
constexpr std::int64_t kNameCopies = 3;
constexpr std::int64_t kEachBytes = 256;
/// What reading takes besides, for the smallest budget that a message names.
constexpr std::int64_t kBesideBytes = 12 * kMebibyte;

}  // namespace

void SequenceList::expect(std::int64_t n, std::int64_t name_bytes) {
  count_ = n;
  charge(n * kEachBytes + kNameCopies * name_bytes);
  finish();
  count_ = 0;
  needed_bytes_ = 0;
}

bool SequenceList::charge(std::int64_t bytes) {
  needed_bytes_ += bytes;
  if (full_ || needed_bytes_ <= reserved_bytes_) return !full_;
  const std::int64_t step = std::max(kMebibyte, needed_bytes_ - reserved_bytes_);
  full_ = memory_.free_bytes() < step;
  if (full_) {
    kept_ = {};
    reserved_.clear();
  } else {
    reserved_.emplace_back(memory_, step, "the list of sequences");
    reserved_bytes_ += step;
  }
  return !full_;
}

bool SequenceList::add(Sequence sequence) {
  ++count_;
  if (!charge(kEachBytes + kNameCopies * std::ssize(sequence.id))) return false;
  kept_.push_back(std::move(sequence));
  return true;
}

void SequenceList::finish() {
  if (!full_) return;
  const std::int64_t least = core::MemoryBudget::kBaseBytes + needed_bytes_ + kBesideBytes;
  throw Error(ErrorKind::kMemory,
              fmt::format("the memory budget of {} is too small: the list of {} sequences needs {}; the "
                          "smallest budget that works is {} MiB",
                          core::format_bytes(memory_.bytes()), count_, core::format_bytes(needed_bytes_),
                          core::ceil_div(least, kMebibyte)));
}

}  // namespace phase0::sources
