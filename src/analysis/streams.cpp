#include "analysis/streams.h"

#include "core/check.h"

namespace phase0::analysis {
namespace {

/// Calls `visit(chunk_row, row)` for every row of the chunk in order.
template <typename Visit>
void for_each_row(const Chunk& chunk, const Visit& visit) {
  for (const RowSegment& segment : chunk.segments) {
    for (std::int64_t i = 0; i < segment.n_rows; ++i) visit(segment.chunk_row + i, segment.first_row + i);
  }
}

/// Adds a row's entries. Neighbouring rows mostly share a mask, so the last look-up is kept.
class PlaneWriter {
 public:
  PlaneWriter(const PlaneMap& planes, std::vector<Entry>& out) : planes_(planes), out_(out) { out_.clear(); }
  void write(std::int64_t chunk_row, std::uint64_t mask, std::int64_t cluster) {
    if (mask != mask_ || !known_) {
      mask_ = mask;
      known_ = true;
      row_planes_ = planes_.planes_of(mask);
    }
    for (const std::int32_t plane : row_planes_) {
      out_.push_back({static_cast<std::int32_t>(chunk_row),
                      static_cast<std::int32_t>(cluster * planes_.n_planes() + plane)});
    }
  }

 private:
  const PlaneMap& planes_;
  std::vector<Entry>& out_;
  std::uint64_t mask_ = 0;
  bool known_ = false;
  std::span<const std::int32_t> row_planes_;
};

class ObservedStream final : public EntryStream {
 public:
  ObservedStream(const store::MappedDataset& ids, const ClusterTable& table, const PlaneMap& planes)
      : ids_(ids.data<std::int32_t>()), table_(table), planes_(planes) {}
  void fill(const ChunkRows& rows, std::vector<Entry>& out) override {
    PlaneWriter writer(planes_, out);
    for_each_row(*rows.chunk, [&](std::int64_t chunk_row, std::int64_t row) {
      const std::int32_t cluster = table_.effective(ids_[row]);
      if (cluster >= 0) writer.write(chunk_row, rows.masks[static_cast<std::size_t>(chunk_row)], cluster);
    });
  }

 private:
  const std::int32_t* ids_;
  const ClusterTable& table_;
  const PlaneMap& planes_;
};

class PermutedStream final : public EntryStream {
 public:
  PermutedStream(LabelSampler sampler, const PlaneMap& planes)
      : sampler_(std::move(sampler)), planes_(planes) {}
  void fill(const ChunkRows& rows, std::vector<Entry>& out) override {
    PlaneWriter writer(planes_, out);
    for (std::int64_t row = 0; row < rows.chunk->n_rows; ++row) {
      const std::int32_t piece = sampler_.next();
      if (piece >= 0) writer.write(row, rows.masks[static_cast<std::size_t>(row)], piece);
    }
  }

 private:
  LabelSampler sampler_;
  const PlaneMap& planes_;
};

class ConfidenceStream final : public EntryStream {
 public:
  ConfidenceStream(const Assignment& assignment, const ClusterTable& table, std::size_t slice,
                   const ConfidenceCuts& cuts)
      : ids_(assignment.cluster.data<std::int32_t>()),
        distances_(assignment.distance.data<float>()),
        table_(table),
        slice_(slice),
        cuts_(cuts) {}
  void fill(const ChunkRows& rows, std::vector<Entry>& out) override {
    out.clear();
    for_each_row(*rows.chunk, [&](std::int64_t chunk_row, std::int64_t row) {
      if (((rows.masks[static_cast<std::size_t>(chunk_row)] >> slice_) & 1) == 0) return;
      const std::int64_t cluster = table_.effective(ids_[row]);
      if (cluster < 0) return;
      const std::int32_t bin = cuts_.bin(confidence_key(distances_[row], row));
      out.push_back(
          {static_cast<std::int32_t>(chunk_row), static_cast<std::int32_t>(cluster * kCurvePoints + bin)});
    });
  }

 private:
  const std::int32_t* ids_;
  const float* distances_;
  const ClusterTable& table_;
  std::size_t slice_;
  const ConfidenceCuts& cuts_;
};

}  // namespace

std::unique_ptr<EntryStream> observed_stream(const store::MappedDataset& ids, const ClusterTable& table,
                                             const PlaneMap& planes) {
  return std::make_unique<ObservedStream>(ids, table, planes);
}

std::unique_ptr<EntryStream> permuted_stream(LabelSampler sampler, const PlaneMap& planes) {
  return std::make_unique<PermutedStream>(std::move(sampler), planes);
}

std::unique_ptr<EntryStream> confidence_stream(const Assignment& assignment, const ClusterTable& table,
                                               std::size_t slice, const ConfidenceCuts& cuts) {
  return std::make_unique<ConfidenceStream>(assignment, table, slice, cuts);
}

LabelSampler permutation_sampler(std::uint64_t seed, std::string_view split, std::int64_t permutation,
                                 std::span<const std::int64_t> counts, std::int64_t n_rows) {
  std::int64_t excluded = n_rows;
  for (const std::int64_t count : counts) excluded -= count;
  const std::uint64_t numbered =
      core::derive_seed(seed, "permutation", static_cast<std::uint64_t>(permutation));
  return {counts, excluded, core::Random(core::derive_seed(numbered, split))};
}

}  // namespace phase0::analysis
