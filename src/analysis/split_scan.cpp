#include "analysis/split_scan.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "analysis/cell_sums_units.h"
#include "analysis/chunk_data.h"
#include "analysis/unit_group.h"
#include "core/checked.h"
#include "core/clock.h"
#include "core/scan_room.h"
#include "phase0/error.h"

namespace phase0::analysis {
namespace {

/// Whether two cells are of the same slices, speakers, points and permutations.
bool is_like(const CellSums& a, const CellSums& b) {
  return a.observed.size() == b.observed.size() && a.entropy.size() == b.entropy.size() &&
         a.speakers.size() == b.speakers.size() && a.curve.size() == b.curve.size() &&
         a.permuted.size() == b.permuted.size();
}

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
  /// `kept` is for the sums so far; with `resumes` it may hold those of an earlier start.
  UnitScan(const SplitWork& work, const ScanShape& shape, std::span<const Unit> all_units, Scan part,
           core::ScanRoom& room, core::Checkpoint& kept, bool resumes)
      : shape_(shape),
        part_(part),
        room_(room),
        group_(std::in_place, work, shape, all_units.subspan(part.first, part.count), room.execution().pool),
        data_(work, shape, tiles_of(all_units.subspan(part.first, part.count))),
        reader_(work.order, block_rows(shape.dim), block_rows(shape.dim)),
        checkpoint_(kept) {
    if (!resumes) return;
    is_kept_ = checkpoint_.load([this](core::ByteSource& source) { load(source); });
    if (is_kept_ || n_kept_ == 0) return;
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
      if (rows < shape_.n_rows) save_when_due(rows);
    }
    group_->release_maps();
    group_->finish(cells, execution.pool);
  }
  /// Whether sums of this scan are kept. They are to be dropped once those of the whole scan are.
  bool is_kept() const { return is_kept_; }

 private:
  /// More would take longer to write than most scans take, and twice its size on the disk.
  static constexpr std::int64_t kMostKeptBytes = std::int64_t{1} << 30;

  void save_when_due(std::int64_t rows) {
    if (!checkpoint_.due() || group_->sums_bytes() > kMostKeptBytes) return;
    if (checkpoint_.save([&](core::ByteSink& sink) { save(rows, sink); })) is_kept_ = true;
  }
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
        rows <= 0 || rows >= shape_.n_rows) {
      throw Error(ErrorKind::kStorage, "was kept of another scan, within another memory budget");
    }
    n_kept_ = rows;
    group_->load(source);
  }
  /// The streams go by what they were given before.
  void pass_over_kept() {
    core::Execution& execution = room_.execution();
    for (std::int64_t rows = 0; rows < n_kept_; rows += chunk_.n_rows) {
      execution.check_stop();
      reader_.set_chunk_rows(std::min(block_rows(shape_.dim), n_kept_ - rows));
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
  core::Checkpoint& checkpoint_;
  bool is_kept_ = false;
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
  core::Checkpoint open_scan(execution.units, {"open sums of " + work.name, work.input.key});
  for (const Scan& scan : scans) {
    core::ScanRoom room(execution, scan.need,
                        {"the sums of the analysis", shape.dim, shape.n_blocks(), true});
    UnitScan unit_scan(work, shape, all_units, {n_done + scan.first, scan.count, {}}, room, open_scan,
                       &scan == scans.data());
    unit_scan.run(cells);
    if (checkpoint.due() || unit_scan.is_kept()) {
      const bool safe = checkpoint.save([&](core::ByteSink& sink) {
        put_cell_sums(sink, cells);
        sink.put(static_cast<std::int64_t>(n_done + scan.first + scan.count));
      });
      if (safe && unit_scan.is_kept()) open_scan.drop();
    }
    core::trim_heap();  // of thousands of small arrays, before the next
  }
  return cells;
}

}  // namespace phase0::analysis
