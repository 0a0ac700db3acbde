#include "data/scan.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/check.h"

namespace phase0::data {
namespace {

/// What both scans share: walks the chunks, reads ahead, releases behind, tells the observer.
class Walk {
 public:
  Walk(const FeatureSource& source, core::Execution& execution, std::string_view task, std::int64_t in_flight)
      : source_(source), execution_(execution), in_flight_(in_flight) {
    PHASE0_CHECK(in_flight >= 1);
    if (!task.empty()) scope_.emplace(execution.observer, task, source.n_rows());
    hint(0, &FeatureSource::will_need);
  }

  template <typename Chunk>
  void each(const Chunk& chunk) {
    for (std::int64_t first = 0; first < source_.n_blocks(); first += in_flight_) {
      execution_.check_stop();
      hint(first + in_flight_, &FeatureSource::will_need);
      chunk(first, std::min(in_flight_, source_.n_blocks() - first));
      const std::int64_t rows = hint(first, &FeatureSource::release);
      if (scope_) execution_.observer.task_advance(rows, rows * source_.frame_dim() * 4);
    }
  }

 private:
  std::int64_t hint(std::int64_t first_block,
                    void (FeatureSource::*advise)(std::int64_t, std::int64_t) const) {
    const std::int64_t first = source_.block_first(first_block);
    const std::int64_t rows = std::min(in_flight_ * source_.block_rows(), source_.n_rows() - first);
    if (rows > 0) (source_.*advise)(first, rows);
    return rows;
  }

  const FeatureSource& source_;
  core::Execution& execution_;
  std::int64_t in_flight_;
  std::optional<core::TaskScope> scope_;
};

}  // namespace

void scan(const FeatureSource& source, core::Execution& execution, std::string_view task,
          std::int64_t in_flight, const BlockWork& work, const ChunkFinish& finish) {
  std::vector<FeatureBlock> loaded(static_cast<std::size_t>(execution.pool.size()));
  Walk(source, execution, task, in_flight).each([&](std::int64_t first, std::int64_t n) {
    execution.pool.run(n, [&](std::int64_t slot, int worker) {
      FeatureBlock& block = loaded[static_cast<std::size_t>(worker)];
      source.load_block(first + slot, block);
      work(first + slot, slot, worker, block);
    });
    if (finish) finish(first, n);
  });
}

void scan_chunks(const FeatureSource& source, core::Execution& execution, std::string_view task,
                 std::int64_t in_flight, const LoadedChunk& finish) {
  std::vector<FeatureBlock> loaded(static_cast<std::size_t>(std::min(in_flight, source.n_blocks())));
  Walk(source, execution, task, in_flight).each([&](std::int64_t first, std::int64_t n) {
    loaded.resize(static_cast<std::size_t>(n));
    execution.pool.run(n, [&](std::int64_t slot, int) {
      source.load_block(first + slot, loaded[static_cast<std::size_t>(slot)]);
    });
    finish(first, loaded);
  });
}

}  // namespace phase0::data
