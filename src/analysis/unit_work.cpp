#include "analysis/unit_work.h"

#include <algorithm>
#include <numeric>

#include "analysis/cell_sums_units.h"
#include "core/check.h"
#include "phase0/error.h"

namespace phase0::analysis {
namespace {

template <typename Sums>
void add_tiles(std::vector<Sums>& into, std::span<const Sums> tile) {
  into.resize(tile.size());
  for (std::size_t i = 0; i < tile.size(); ++i) into[i].add_tile(tile[i]);
}

}  // namespace

UnitWork::UnitWork(const SplitWork& work, const ScanShape& shape, const Unit& unit, std::span<double> zeros)
    : work_(work),
      unit_(unit),
      width_(shape.tile_width(unit.tile)),
      sums_(unit_clusters(shape, unit), unit_planes(shape, unit), unit.kind == UnitKind::kObserved, zeros) {
  if (unit.kind != UnitKind::kSpeakers) return;
  is_touched_.assign(static_cast<std::size_t>(sums_.n_clusters()), 0);
  touched_.reserve(is_touched_.size());
  groups_.resize(static_cast<std::size_t>(shape.n_speakers * shape.n_slices));
}

void UnitWork::consume(const Chunk& chunk, std::span<const Entry> entries, const double* z,
                       const double* norms) {
  if (unit_.kind == UnitKind::kSpeakers) {
    consume_speakers(chunk, entries, z, norms);
  } else {
    sums_.add(entries, z, norms);
  }
}

void UnitWork::consume_speakers(const Chunk& chunk, std::span<const Entry> entries, const double* z,
                                const double* norms) {
  std::size_t next = 0;
  for (const SpeakerRun& run : chunk.speakers) {
    const std::size_t first = next;
    while (next < entries.size() && entries[next].row < run.chunk_row + run.n_rows) ++next;
    if (run.slot < 0) continue;
    const auto own = entries.subspan(first, next - first);
    sums_.add(own, z, norms);
    for (const Entry entry : own) {
      const auto cluster = static_cast<std::int32_t>(entry.slot / sums_.n_planes());
      std::uint8_t& touched = is_touched_[static_cast<std::size_t>(cluster)];
      if (touched == 0) touched_.push_back(cluster);
      touched = 1;
    }
    if (run.ends) end_speaker(run.slot);
  }
}

void UnitWork::end_speaker(std::int32_t slot) {
  const auto& planes = work_.planes.planes_by_slice();
  for (std::size_t slice = 0; slice < planes.size(); ++slice) {
    groups_[static_cast<std::size_t>(slot) * planes.size() + slice] = sums_.reduce(touched_, planes[slice]);
  }
  sums_.clear(touched_);
  for (const std::int32_t cluster : touched_) is_touched_[static_cast<std::size_t>(cluster)] = 0;
  touched_.clear();
}

void UnitWork::save(core::ByteSink& sink) const {
  sums_.save_rows(sink);
  core::FieldWriter write(sink);
  write(touched_, groups_);
}

void UnitWork::load(core::ByteSource& source) {
  sums_.load_rows(source);
  std::vector<std::int32_t> touched;
  std::vector<GroupSums> groups;
  core::FieldReader read(source);
  read(touched, groups);
  const auto there = [this](std::int32_t cluster) {
    return cluster >= 0 && cluster < std::ssize(is_touched_);
  };
  if (groups.size() != groups_.size() || !std::all_of(touched.begin(), touched.end(), there)) {
    throw Error(ErrorKind::kStorage, "holds the sums of other speakers");
  }
  for (const std::int32_t cluster : touched) is_touched_[static_cast<std::size_t>(cluster)] = 1;
  touched_ = std::move(touched);
  groups_ = std::move(groups);
}

std::vector<std::vector<std::int32_t>> UnitWork::groups() const {
  if (unit_.kind != UnitKind::kConfidence) return work_.planes.planes_by_slice();
  std::vector<std::vector<std::int32_t>> groups;
  for (std::int32_t point = 0; point < kCurvePoints; ++point) {
    auto& group = groups.emplace_back(static_cast<std::size_t>(point + 1));
    std::iota(group.begin(), group.end(), 0);
  }
  return groups;
}

void UnitWork::finish() {
  if (unit_.kind == UnitKind::kSpeakers) return;
  if (unit_.kind == UnitKind::kPermuted) {
    groups_ = reduce_pieces(work_.pieces, sums_, work_.planes.planes_by_slice());
    return;
  }
  std::vector<std::int32_t> clusters(static_cast<std::size_t>(sums_.n_clusters()));
  std::iota(clusters.begin(), clusters.end(), 0);
  const auto groups = this->groups();
  for (const auto& planes : groups) groups_.push_back(sums_.reduce(clusters, planes));
  if (unit_.kind != UnitKind::kObserved) return;
  for (const auto& planes : groups) entropy_.push_back(sums_.entropy(planes, width_));
  const std::int64_t all = work_.slices.all_slice();
  if (all >= 0) cluster_variance_ = sums_.cluster_variances(groups[static_cast<std::size_t>(all)]);
}

void UnitWork::merge_into(std::vector<CellSums>& cells) const {
  const auto index = static_cast<std::size_t>(unit_.index);
  const std::size_t n_slices = work_.slices.size();
  const auto own = [&]() -> CellSums& { return cells[static_cast<std::size_t>(unit_.cell)]; };
  switch (unit_.kind) {
    case UnitKind::kObserved: {
      CellSums& cell = own();
      add_tiles<GroupSums>(cell.observed, groups_);
      add_tiles<EntropySums>(cell.entropy, entropy_);
      cell.cluster_variance.resize(cluster_variance_.size(), 0);
      for (std::size_t k = 0; k < cluster_variance_.size(); ++k)
        cell.cluster_variance[k] += cluster_variance_[k];
      return;
    }
    case UnitKind::kSpeakers:
      add_tiles<GroupSums>(own().speakers, groups_);
      return;
    case UnitKind::kConfidence:
      add_tiles<GroupSums>(own().curve[index], groups_);
      return;
    case UnitKind::kPermuted:
      for (std::size_t c = 0; c < cells.size(); ++c) {
        add_tiles<GroupSums>(cells[c].permuted[index], std::span(groups_).subspan(c * n_slices, n_slices));
      }
      return;
  }
}

}  // namespace phase0::analysis
