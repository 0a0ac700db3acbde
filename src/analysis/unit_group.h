#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "analysis/chunk_data.h"
#include "analysis/split_scan.h"
#include "analysis/streams.h"
#include "analysis/unit_work.h"
#include "core/byte_stream.h"
#include "core/threads.h"
#include "core/zeroed_buffer.h"

namespace phase0::analysis {

/// The units that share one pass over the rows, with the streams that feed them. What is referred to must
/// outlive it.
class UnitGroup {
 public:
  UnitGroup(const SplitWork& work, const ScanShape& shape, std::span<const Unit> units,
            core::ThreadPool& pool);

  /// Makes room for the entries of `n_rows` rows, so that consume() allocates nothing.
  void reserve(std::int64_t n_rows);
  /// Frees that room.
  void drop();
  /// The next rows.
  void consume(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool);
  /// The next rows, whose sums load() has brought: of `data` the masks are enough.
  void pass_over(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool);

  /// The sums of the rows so far, for a group of the same units. load() throws Error (kStorage) for those of
  /// others; then this is of no use.
  void save(core::ByteSink& sink) const;
  void load(core::ByteSource& source);

  std::int64_t sums_bytes() const { return sums_.size() * static_cast<std::int64_t>(sizeof(double)); }

  /// After the last row.
  void finish(std::vector<CellSums>& cells, core::ThreadPool& pool);
  /// Lets go of the pages of mapped ids and distances.
  void release_maps() const;

 private:
  void add_units(const ScanShape& shape, std::span<const Unit> units, core::ThreadPool& pool);

  const SplitWork& work_;
  core::ZeroedBuffer<double> sums_;  ///< of all units
  std::vector<std::unique_ptr<UnitWork>> units_;
  std::vector<std::unique_ptr<EntryStream>> streams_;
  std::vector<std::vector<Entry>> entries_;    ///< [stream], of the current chunk
  std::vector<std::int64_t> entries_per_row_;  ///< [stream], at most
  std::vector<std::size_t> stream_of_;         ///< [unit]
  std::vector<std::size_t> by_tile_;
};

}  // namespace phase0::analysis
