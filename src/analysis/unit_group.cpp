#include "analysis/unit_group.h"

#include <algorithm>
#include <utility>

#include "core/checked.h"
#include "phase0/error.h"

namespace phase0::analysis {
namespace {

constexpr std::int64_t kPieceValues = std::int64_t{1} << 20;

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

}  // namespace

UnitGroup::UnitGroup(const SplitWork& work, const ScanShape& shape, std::span<const Unit> units,
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

void UnitGroup::reserve(std::int64_t n_rows) {
  for (std::size_t s = 0; s < entries_.size(); ++s) {
    entries_[s].reserve(static_cast<std::size_t>(n_rows * entries_per_row_[s]));
  }
}

void UnitGroup::drop() {
  for (auto& entries : entries_) entries = {};
}

void UnitGroup::consume(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool) {
  pass_over(chunk, data, pool);
  pool.run(static_cast<std::int64_t>(units_.size()), [&](std::int64_t i, int /*worker*/) {
    const std::size_t u = by_tile_[static_cast<std::size_t>(i)];
    const std::int64_t tile = units_[u]->unit().tile;
    units_[u]->consume(chunk, entries_[stream_of_[u]], data.z(tile), data.norms(tile));
  });
}

void UnitGroup::pass_over(const Chunk& chunk, const ChunkData& data, core::ThreadPool& pool) {
  pool.run(static_cast<std::int64_t>(streams_.size()), [&](std::int64_t i, int /*worker*/) {
    const auto s = static_cast<std::size_t>(i);
    // Filled where no other worker's vector shares the cache line of its end.
    std::vector<Entry> own = std::move(entries_[s]);
    streams_[s]->fill({&chunk, data.masks()}, own);
    entries_[s] = std::move(own);
  });
}

void UnitGroup::save(core::ByteSink& sink) const {
  for (const auto& unit : units_) unit->save(sink);
  sink.put_all(std::span(sums_.data(), static_cast<std::size_t>(sums_.size())));
}

void UnitGroup::load(core::ByteSource& source) {
  for (const auto& unit : units_) unit->load(source);
  if (source.get<std::int64_t>() != sums_.size() || source.remaining() != sums_bytes()) {
    throw Error(ErrorKind::kStorage, "holds the sums of other units");
  }
  source.read(sums_.data(), sums_bytes());
}

void UnitGroup::finish(std::vector<CellSums>& cells, core::ThreadPool& pool) {
  pool.run(static_cast<std::int64_t>(units_.size()),
           [&](std::int64_t i, int /*worker*/) { units_[static_cast<std::size_t>(i)]->finish(); });
  sums_ = {};
  for (const auto& unit : units_) unit->merge_into(cells);
}

void UnitGroup::release_maps() const {
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const std::int64_t cell = units_[i]->unit().cell;
    if (cell == Unit::kAllCells || (i > 0 && cell == units_[i - 1]->unit().cell)) continue;
    const Assignment& assignment = work_.assignment(static_cast<std::size_t>(cell));
    assignment.cluster.release(0, assignment.cluster.rows());
    assignment.distance.release(0, assignment.distance.rows());
  }
  work_.rows.high_energy.release(0, work_.rows.high_energy.rows());
}

/// All sums in one piece: huge pages fit it, and it is given back at once.
void UnitGroup::add_units(const ScanShape& shape, std::span<const Unit> units, core::ThreadPool& pool) {
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

}  // namespace phase0::analysis
