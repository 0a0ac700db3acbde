#include "core/scan_need.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kHelpfulBytes = std::int64_t{16} << 20;
constexpr std::int64_t kHelpfulBlocksPerWorker = 32;
constexpr std::int64_t kLeastBlocksPerWorker = 2;

}  // namespace

std::int64_t ScanNeed::bytes(std::int64_t blocks, int workers) const {
  const std::int64_t in_flight = checked_mul(blocks, block_bytes, "blocks in flight", ErrorKind::kMemory);
  const std::int64_t copies = checked_mul(workers, worker_bytes, "working copies", ErrorKind::kMemory);
  return checked_add(fixed_bytes, checked_add(in_flight, copies, "a scan", ErrorKind::kMemory), "a scan",
                     ErrorKind::kMemory);
}

ScanSize widest_scan(const ScanNeed& need, std::int64_t n_blocks, int threads, std::int64_t free_bytes) {
  PHASE0_CHECK(threads >= 1 && need.block_bytes >= 0);
  ScanSize size;
  const auto most_workers = static_cast<int>(std::clamp<std::int64_t>(n_blocks, 1, threads));
  while (size.workers < most_workers && need.bytes(size.workers + 1, size.workers + 1) <= free_bytes) {
    ++size.workers;
  }
  size.blocks =
      need.helpful_bytes > 0 ? std::max<std::int64_t>(n_blocks, 1) : kHelpfulBlocksPerWorker * size.workers;
  if (need.block_bytes > 0) {
    const std::int64_t helpful_bytes = need.helpful_bytes > 0 ? need.helpful_bytes : kHelpfulBytes;
    const std::int64_t helpful =
        std::max(kLeastBlocksPerWorker * size.workers, helpful_bytes / need.block_bytes);
    const std::int64_t fitting = (free_bytes - need.bytes(0, size.workers)) / need.block_bytes;
    size.blocks = std::min({size.blocks, helpful, fitting});
  }
  size.blocks = std::clamp<std::int64_t>(size.blocks, 1, std::max<std::int64_t>(n_blocks, 1));
  return size;
}

std::int64_t planned_bytes(const ScanNeed& need, std::int64_t n_blocks, int threads,
                           std::int64_t free_bytes) {
  const ScanSize size = widest_scan(need, n_blocks, threads, free_bytes);
  return need.bytes(size.blocks, size.workers);
}

}  // namespace phase0::core
