#include "core/scan_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <new>
#include <optional>

namespace phase0::core {
namespace {

/// Before anything is known: enough for every worker to have a next block while the slowest finishes its own.
constexpr std::int64_t kStartBlocksPerWorker = 2;

/// What is known of a failure to get memory; nothing for any other failure.
std::optional<std::string> memory_failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return "the machine gave less than the budget, try a smaller --memory";
  } catch (const Error& failure) {
    if (failure.kind() == ErrorKind::kMemory) return failure.what();
  } catch (...) {
  }
  return std::nullopt;
}

}  // namespace

ScanRoom::ScanRoom(Execution& execution, const ScanNeed& need, ScanKind kind)
    : execution_(execution),
      need_(need),
      kind_(std::move(kind)),
      size_(widest_scan(need, kind_.n_blocks, execution.pool.size(), execution.memory.free_bytes())),
      reservation_(execution.memory, need.bytes(size_.blocks, size_.workers), kind_.name),
      limit_(execution.pool, size_.workers),
      tuner_(tuner()) {}

ScanRoom::~ScanRoom() {
  if (execution_.tuning == nullptr || ran_out_ || std::uncaught_exceptions() > exceptions_before_) return;
  try {
    (*execution_.tuning)[key()] = tuner_.blocks();
  } catch (const std::bad_alloc&) {
    return;  // then the next scan learns again
  }
}

std::string ScanRoom::key() const {
  const auto bucket = std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(kind_.row_values, 1)));
  return fmt::format("{}, rows under {}, {} workers", kind_.name, std::uint64_t{1} << bucket, size_.workers);
}

ChunkTuner ScanRoom::tuner() const {
  if (kind_.widest_first) return {size_.blocks, size_.blocks};
  std::int64_t start = kStartBlocksPerWorker * size_.workers;
  if (execution_.tuning != nullptr) {
    const auto known = execution_.tuning->find(key());
    if (known != execution_.tuning->end()) start = known->second;
  }
  return {start, size_.blocks};
}

std::int64_t ScanRoom::blocks() const {
  if (!execution_.under_pressure()) return tuner_.blocks();
  return std::min(tuner_.blocks(), std::max<std::int64_t>(1, size_.blocks / 2));
}

void ScanRoom::report(std::int64_t blocks, std::int64_t rows, double seconds) {
  // The rest at the end of the data, and chunks under pressure, say nothing about the tuner's size.
  if (blocks == tuner_.blocks()) tuner_.report(rows, seconds);
}

void ScanRoom::retry_smaller(std::int64_t blocks, bool tried_alone, const std::exception_ptr& error) {
  const auto failure = memory_failure(error);
  if (!failure) std::rethrow_exception(error);
  ran_out_ = true;
  if (tuner_.halve(blocks) || !tried_alone) {
    execution_.observer.log(LogLevel::kDebug,
                            fmt::format("{}: out of memory with {} block(s) in flight, going on with {}",
                                        kind_.name, blocks, tuner_.blocks()));
    return;
  }
  throw Error(
      ErrorKind::kMemory,
      fmt::format("out of memory: {} asked for {} with one block in flight ({} planned), the budget is {} "
                  "and {} are resident; {}",
                  kind_.name, format_bytes(need_.minimum_bytes()), format_bytes(reservation_.bytes()),
                  format_bytes(execution_.memory.bytes()), format_bytes(current_rss_bytes()), *failure));
}

}  // namespace phase0::core
