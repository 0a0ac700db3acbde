#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "analysis/accumulator.h"
#include "analysis/confidence.h"
#include "analysis/label_sampler.h"
#include "analysis/row_order.h"

namespace phase0::analysis {

/// A chunk's rows with the slices they belong to.
struct ChunkRows {
  const Chunk* chunk = nullptr;
  std::span<const std::uint64_t> masks;  ///< [chunk rows]
};

/// Decides for the rows of a split, chunk after chunk in speaker order, which sums each is added to. Every
/// chunk must be given exactly once and in order. Not thread-safe.
class EntryStream {
 public:
  virtual ~EntryStream() = default;
  /// Entries of the chunk in row order, in place of what `out` held.
  virtual void fill(const ChunkRows& rows, std::vector<Entry>& out) = 0;
};

/// The assigned ids: slot = effective cluster * planes + plane. What is referred to must outlive the stream,
/// as below.
std::unique_ptr<EntryStream> observed_stream(const store::MappedDataset& ids, const ClusterTable& table,
                                             const PlaneMap& planes);

/// A permutation of all rows of the split, drawn on the fly: slot = piece of the ranks * planes + plane.
std::unique_ptr<EntryStream> permuted_stream(LabelSampler sampler, const PlaneMap& planes);

/// The rows of one slice by their part of the confidence curve: slot = effective cluster * kCurvePoints +
/// bin.
std::unique_ptr<EntryStream> confidence_stream(const Assignment& assignment, const ClusterTable& table,
                                               std::size_t slice, const ConfidenceCuts& cuts);

/// The sampler of a permutation: draws the piece that a row's rank lies in. Its random numbers depend on the
/// seed, the split and the permutation alone. `counts`: rows of each piece.
LabelSampler permutation_sampler(std::uint64_t seed, std::string_view split, std::int64_t permutation,
                                 std::span<const std::int64_t> counts, std::int64_t n_rows);

}  // namespace phase0::analysis
