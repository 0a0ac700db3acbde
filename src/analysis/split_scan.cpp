#include "analysis/split_scan.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "analysis/cell_sums_units.h"
#include "analysis/streams.h"
#include "analysis/unit_work.h"
#include "core/aligned_buffer.h"
#include "core/checked.h"
#include "core/clock.h"
#include "core/scan_room.h"
#include "core/zeroed_buffer.h"
#include "phase0/error.h"

namespace phase0::analysis {
namespace {

/// Whether two cells are of the same slices, speakers, points and permutations.
bool is_like(const CellSums& a, const CellSums& b) {
  return a.observed.size() == b.observed.size() && a.entropy.size() == b.entropy.size() &&
         a.speakers.size() == b.speakers.size() && a.curve.size() == b.curve.size() &&
         a.permuted.size() == b.permuted.size();
}

/// A chunk's deltas by tile, less the centre and in units of sigma, and its rows' slices. Reused from chunk
/// to chunk.
class ChunkData {
 public:
  ChunkData(const SplitWork& work, const ScanShape& shape, std::vector<std::int64_t> tiles)
      : work_(work), shape_(shape), tiles_(std::move(tiles)) {
    for (const double sigma : work.input.sigma) scale_.push_back(1 / sigma);
  }

  /// May be repeated for the same rows in other chunks.
  void load(const Chunk& chunk, core::ThreadPool& pool) {
    rows_ = chunk.n_rows;
    blocks_.resize(static_cast<std::size_t>(pool.size()));
    z_.resize(shape_.n_tiles() * rows_ * kTileWidth);
    norms_.resize(shape_.n_tiles() * rows_);
    core::prefer_huge_pages(z_.data(), z_.size() * static_cast<std::int64_t>(sizeof(double)));
    pool.run(static_cast<std::int64_t>(chunk.loads.size()), [&](std::int64_t i, int worker) {
      load_range(chunk.loads[static_cast<std::size_t>(i)], blocks_[static_cast<std::size_t>(worker)]);
    });
    load_masks(chunk);
  }
  /// Of the rows their slices alone.
  void load_masks(const Chunk& chunk) {
    masks_.resize(static_cast<std::size_t>(chunk.n_rows));
    std::size_t next = 0;
    for (const RowSegment& segment : chunk.segments) {
      for_each_mask(work_.slices, work_.rows, *segment.utterance, segment.first_row, segment.n_rows,
                    [&](std::int64_t, std::uint64_t mask) { masks_[next++] = mask; });
    }
  }
  /// Frees the buffers.
  void drop() {
    blocks_.clear();
    z_ = {};
    norms_ = {};
    masks_ = {};
  }
  std::span<const std::uint64_t> masks() const { return masks_; }
  const double* z(std::int64_t tile) const { return z_.data() + tile * rows_ * kTileWidth; }
  const double* norms(std::int64_t tile) const { return norms_.data() + tile * rows_; }

 private:
  void load_range(const LoadRange& range, data::FeatureBlock& block) {
    const linalg::Kernels& kernels = linalg::kernels();
    const data::FeatureSource& source = *work_.rows.delta;
    source.load(range.first_row, range.n_rows, block);
    for (const std::int64_t tile : tiles_) {
      const std::int64_t first = tile * kTileWidth;
      const std::int64_t chunk_first = tile * rows_ + range.chunk_row;
      for (std::int64_t r = 0; r < range.n_rows; ++r) {
        norms_[chunk_first + r] = kernels.normalise_tile(
            block.matrix() + r * shape_.dim + first, work_.centre.data() + first, scale_.data() + first,
            shape_.tile_width(tile), z_.data() + (chunk_first + r) * kTileWidth);
      }
    }
  }

  const SplitWork& work_;
  const ScanShape& shape_;
  std::vector<std::int64_t> tiles_;
  std::vector<double> scale_;               ///< [D], 1 / sigma
  std::int64_t rows_ = 0;                   ///< of the chunk
  std::vector<data::FeatureBlock> blocks_;  ///< [worker]
  core::AlignedBuffer<double> z_;           ///< [tile, chunk rows, kTileWidth]
  core::AlignedBuffer<double> norms_;       ///< [tile, chunk rows]
  std::vector<std::uint64_t> masks_;        ///< [chunk rows]
};

std::unique_ptr<EntryStream> make_stream(const SplitWork& work, const Unit& unit) {
  if (unit.kind == UnitKind::kPermuted) {
    return permuted_stream(permutation_sampler(work.options.seed, work.name, unit.index, work.pieces.counts(),
                                               work.rows.index->n_rows()),
                           work.planes);
  }
  const auto cell = static_cast<std::size_t>(unit.cell);
  const ClusterTable& table = work.tables[cell];
  const Assignment& assignment = work.assignment(cell);
  if (unit.kind == UnitKind::kConfidence) {
    const auto slice = static_cast<std::size_t>(unit.index);
    return confidence_stream(assignment, table, slice, work.cuts[cell * work.slices.size() + slice]);
  }
  return observed_stream(assignment.cluster, table, work.planes);
}

/// The units that share one pass over the rows, with the streams that feed them.
class UnitGroup {
 public:
  UnitGroup(const SplitWork& work, const ScanShape& shape, std::span<const Unit> units,
            core::ThreadPool& pool)
      : work_(work) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      if (i == 0 || !units[i - 1].shares_stream(units[i])) {
        streams_.push_back(make_stream(work, units[i]));
        entries_per_row_.push_back(entries_per_row(shape, units[i]));
      }
      stream_of_.push_back(streams_.size() - 1);
    }
    add_units(shape, units, pool);
    entries_.resize(streams_.size());
    for (std::size_t i = 0; i < units.size(); ++i) by_tile_.push_back(i);
    // Tile-major, so that threads share a tile of deltas in the cache.
    std::stable_sort(by_tile_.begin(), by_tile_.end(),
                     [&](std::size_t a, std::size_t b) { return units[a].tile < units[b].tile; });
  }

  /// Makes room for the entries of `n_rows` rows, so that consume() allocates nothing.
  void reserve(std::int64_t n_rows) {
    for (std::size_t s = 0; s < entries_.size(); ++s) {
      entries_[s].reserve(static_cast<std::size_t>(n_rows * entries_per_row_[s]));
    }
  }
  void drop() {
    for (auto& entries : entries_) entries = {};
  }
  void consume(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool) {
    fill_entries(chunk, data, pool);
    pool.run(static_cast<std::int64_t>(units_.size()), [&](std::int64_t i, int /*worker*/) {
      const std::size_t u = by_tile_[static_cast<std::size_t>(i)];
      const std::int64_t tile = units_[u]->unit().tile;
      units_[u]->consume(chunk, entries_[stream_of_[u]], data.z(tile), data.norms(tile));
    });
  }
  /// Rows that load() has brought the sums of.
  void pass_over(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool) {
    fill_entries(chunk, data, pool);
  }
  void save(core::ByteSink& sink) const {
    for (const auto& unit : units_) unit->save(sink);
    sink.put_all(std::span(sums_.data(), static_cast<std::size_t>(sums_.size())));
  }
  /// Throws Error (kStorage) for what is not of these units; then this is of no use.
  void load(core::ByteSource& source) {
    for (const auto& unit : units_) unit->load(source);
    const std::int64_t bytes = sums_.size() * static_cast<std::int64_t>(sizeof(double));
    if (source.get<std::int64_t>() != sums_.size() || source.remaining() != bytes) {
      throw Error(ErrorKind::kStorage, "holds the sums of other units");
    }
    source.read(sums_.data(), bytes);
  }
  void finish(std::vector<CellSums>& cells, core::ThreadPool& pool) {
    pool.run(static_cast<std::int64_t>(units_.size()),
             [&](std::int64_t i, int /*worker*/) { units_[static_cast<std::size_t>(i)]->finish(); });
    sums_ = {};
    for (const auto& unit : units_) unit->merge_into(cells);
  }
  void release_maps() const {
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const std::int64_t cell = units_[i]->unit().cell;
      if (cell == Unit::kAllCells || (i > 0 && cell == units_[i - 1]->unit().cell)) continue;
      const Assignment& assignment = work_.assignment(static_cast<std::size_t>(cell));
      assignment.cluster.release(0, assignment.cluster.rows());
      assignment.distance.release(0, assignment.distance.rows());
    }
    work_.rows.high_energy.release(0, work_.rows.high_energy.rows());
  }

 private:
  void fill_entries(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool) {
    pool.run(static_cast<std::int64_t>(streams_.size()), [&](std::int64_t i, int /*worker*/) {
      const auto s = static_cast<std::size_t>(i);
      // Filled where no other worker's vector shares the cache line of its end.
      std::vector<Entry> own = std::move(entries_[s]);
      streams_[s]->fill({&chunk, data.masks()}, own);
      entries_[s] = std::move(own);
    });
  }

  /// All sums in one piece: huge pages fit it, and it is given back at once.
  void add_units(const ScanShape& shape, std::span<const Unit> units, core::ThreadPool& pool) {
    std::vector<std::int64_t> first = {0};
    for (const Unit& unit : units) first.push_back(core::checked_add(first.back(), unit_values(shape, unit)));
    sums_ = core::ZeroedBuffer<double>(first.back(), core::Pages::kOnRequest);
    units_.resize(units.size());
    pool.run(core::ceil_div(first.back(), kPieceValues), [&](std::int64_t piece, int /*worker*/) {
      const std::int64_t begin = piece * kPieceValues;
      sums_.bring_in(begin, std::min(kPieceValues, first.back() - begin));
    });
    pool.run(std::ssize(units), [&](std::int64_t i, int /*worker*/) {
      const auto u = static_cast<std::size_t>(i);
      const auto n = static_cast<std::size_t>(first[u + 1] - first[u]);
      units_[u] = std::make_unique<UnitWork>(work_, shape, units[u], std::span(sums_.data() + first[u], n));
    });
  }

  static constexpr std::int64_t kPieceValues = std::int64_t{1} << 20;

  const SplitWork& work_;
  core::ZeroedBuffer<double> sums_;  ///< of all units
  std::vector<std::unique_ptr<UnitWork>> units_;
  std::vector<std::unique_ptr<EntryStream>> streams_;
  std::vector<std::vector<Entry>> entries_;    ///< [stream], of the current chunk
  std::vector<std::int64_t> entries_per_row_;  ///< [stream], at most
  std::vector<std::size_t> stream_of_;         ///< [unit]
  std::vector<std::size_t> by_tile_;
};

std::vector<std::int64_t> tiles_of(std::span<const Unit> units) {
  std::vector<std::int64_t> tiles;
  for (const Unit& unit : units) tiles.push_back(unit.tile);
  std::sort(tiles.begin(), tiles.end());
  tiles.erase(std::unique(tiles.begin(), tiles.end()), tiles.end());
  return tiles;
}

/// One pass over the rows for units [first, first + count) of all.
class UnitScan {
 public:
  UnitScan(const SplitWork& work, const ScanShape& shape, std::span<const Unit> all_units, Scan part,
           core::ScanRoom& room)
      : shape_(shape),
        part_(part),
        room_(room),
        group_(std::in_place, work, shape, all_units.subspan(part.first, part.count), room.execution().pool),
        data_(work, shape, tiles_of(all_units.subspan(part.first, part.count))),
        reader_(work.order, block_rows(shape.dim), block_rows(shape.dim)),
        checkpoint_(room.execution().units, {"open sums of " + work.name, work.input.key}) {
    if (checkpoint_.load([this](core::ByteSource& source) { load(source); })) return;
    if (!touched_) return;
    group_.emplace(work, shape, all_units.subspan(part.first, part.count), room.execution().pool);
    n_kept_ = 0;
  }

  void run(std::vector<CellSums>& cells) {
    core::Execution& execution = room_.execution();
    pass_over_kept();
    bool tried_alone = false;
    for (std::int64_t rows = n_kept_; rows < shape_.n_rows;) {
      execution.check_stop();
      const std::int64_t blocks = room_.blocks();
      const double start = core::now_seconds();
      ChunkReader after = reader_;
      try {
        load(blocks, after);
      } catch (...) {
        data_.drop();
        group_->drop();
        room_.retry_smaller(blocks, tried_alone, std::current_exception());
        tried_alone = blocks == 1;
        continue;
      }
      group_->consume(chunk_, data_, execution.pool);
      let_go();
      reader_ = after;
      rows += chunk_.n_rows;
      tried_alone = false;
      room_.report(core::ceil_div(chunk_.n_rows, block_rows(shape_.dim)), chunk_.n_rows,
                   core::now_seconds() - start);
      execution.observer.task_advance(chunk_.n_rows, chunk_.n_rows * shape_.dim * 4);
      if (rows < shape_.n_rows) {
        checkpoint_.save_when_due([&](core::ByteSink& sink) { save(rows, sink); });
      }
    }
    group_->release_maps();
    group_->finish(cells, execution.pool);
  }
  /// When the sums are kept with those of all units.
  void drop_kept() { checkpoint_.drop(); }

 private:
  void save(std::int64_t rows, core::ByteSink& sink) const {
    sink.put(static_cast<std::int64_t>(part_.first));
    sink.put(static_cast<std::int64_t>(part_.count));
    sink.put(rows);
    group_->save(sink);
  }
  void load(core::ByteSource& source) {
    const auto first = source.get<std::int64_t>();
    const auto count = source.get<std::int64_t>();
    const auto rows = source.get<std::int64_t>();
    if (first != static_cast<std::int64_t>(part_.first) || count != static_cast<std::int64_t>(part_.count) ||
        rows < 0 || rows >= shape_.n_rows) {
      throw Error(ErrorKind::kStorage, "was kept of another scan, within another memory budget");
    }
    touched_ = true;
    n_kept_ = rows;
    group_->load(source);
  }
  /// The streams go by what they were given before.
  void pass_over_kept() {
    core::Execution& execution = room_.execution();
    for (std::int64_t rows = 0; rows < n_kept_; rows += chunk_.n_rows) {
      execution.check_stop();
      reader_.set_chunk_rows(std::min(room_.blocks() * block_rows(shape_.dim), n_kept_ - rows));
      reader_.next(chunk_);
      group_->reserve(chunk_.n_rows);
      data_.load_masks(chunk_);
      group_->pass_over(chunk_, data_, execution.pool);
      let_go();
      execution.observer.task_advance(chunk_.n_rows, 0);
    }
  }

  /// The next `blocks` blocks into the buffers. Changes no sums.
  void load(std::int64_t blocks, ChunkReader& after) {
    after.set_chunk_rows(blocks * block_rows(shape_.dim));
    after.next(chunk_);
    group_->reserve(chunk_.n_rows);
    data_.load(chunk_, room_.execution().pool);
  }
  void let_go() const {
    if (room_.execution().under_pressure() || release_every_chunk(shape_.n_rows)) group_->release_maps();
  }

  const ScanShape& shape_;
  Scan part_;
  core::ScanRoom& room_;
  std::optional<UnitGroup> group_;
  ChunkData data_;
  ChunkReader reader_;
  Chunk chunk_;
  core::Checkpoint checkpoint_;
  bool touched_ = false;     ///< group_, by what was kept
  std::int64_t n_kept_ = 0;  ///< rows whose sums an earlier start has kept
};

}  // namespace

const Assignment& SplitWork::assignment(std::size_t cell) const {
  return split == data::Split::kTrain ? input.cells[cell].train : input.cells[cell].eval;
}

ScanShape SplitWork::shape() const {
  ScanShape shape;
  shape.n_rows = rows.index->n_rows();
  shape.dim = static_cast<std::int64_t>(input.sigma.size());
  shape.n_slices = static_cast<std::int64_t>(slices.size());
  shape.n_planes = planes.n_planes();
  shape.planes_per_row = planes.planes_per_row();
  shape.permutations = options.metrics.permutations;
  shape.n_speakers = static_cast<std::int64_t>(order.slot_speakers().size());
  for (const ClusterTable& table : tables) shape.n_clusters.push_back(table.n_effective());
  shape.n_pieces = pieces.size();
  return shape;
}

std::vector<CellSums> scan_split(const SplitWork& work, core::Execution& execution) {
  const ScanShape shape = work.shape();
  const auto n_slices = static_cast<std::size_t>(shape.n_slices);
  CellSums empty;
  empty.observed.resize(n_slices);
  empty.entropy.resize(n_slices);
  empty.curve.resize(n_slices);
  empty.permuted.resize(static_cast<std::size_t>(shape.permutations));
  empty.speakers.resize(static_cast<std::size_t>(shape.n_speakers) * n_slices);
  std::vector<CellSums> cells(work.tables.size(), empty);

  // The order of the units is fixed, so those of earlier starts may have been packed in any other way.
  core::Checkpoint checkpoint(execution.units, {"sums of " + work.name, work.input.key});
  std::size_t n_done = 0;
  const std::vector<Unit> all_units = list_units(shape);
  checkpoint.load([&](core::ByteSource& source) {
    std::vector<CellSums> kept = get_cell_sums(source, cells.size());
    const auto n_kept = static_cast<std::size_t>(source.get<std::int64_t>());
    const bool same =
        std::all_of(kept.begin(), kept.end(), [&](const CellSums& c) { return is_like(c, empty); });
    if (!same || n_kept > all_units.size() || source.remaining() != 0) {
      throw Error(ErrorKind::kStorage, "holds the sums of another analysis");
    }
    cells = std::move(kept);
    n_done = n_kept;
  });
  const std::span<const Unit> units = std::span(all_units).subspan(n_done);
  const std::vector<Scan> scans =
      plan_scans(shape, units, execution.pool.size(), execution.memory.free_bytes());
  const core::TaskScope task(execution.observer, "analyze " + work.name,
                             shape.n_rows * static_cast<std::int64_t>(scans.size()));
  for (const Scan& scan : scans) {
    core::ScanRoom room(execution, scan.need,
                        {"the sums of the analysis", shape.dim, shape.n_blocks(), true});
    UnitScan unit_scan(work, shape, all_units, {n_done + scan.first, scan.count, {}}, room);
    unit_scan.run(cells);
    if (checkpoint.due()) {
      checkpoint.save([&](core::ByteSink& sink) {
        put_cell_sums(sink, cells);
        sink.put(static_cast<std::int64_t>(n_done + scan.first + scan.count));
      });
      unit_scan.drop_kept();
    }
    core::trim_heap();  // of thousands of small arrays, before the next
  }
  return cells;
}

}  // namespace phase0::analysis
