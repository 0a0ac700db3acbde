#pragma once

#include <cstddef>
#include <vector>

#include "analysis/split_scan.h"
#include "core/byte_stream.h"
#include "core/fields.h"

/// The sums of a split as a part of a cached unit (core/unit_store.h), bit for bit.
namespace phase0::analysis {

template <class Visit, core::Like<GroupSums> T>
void each_field(Visit& visit, T& sums) {
  visit(sums.n_rows, sums.n_clusters, sums.raw, sums.within, sums.total);
}

void put_cell_sums(core::ByteSink& sink, const std::vector<CellSums>& cells);
/// Throws Error (kStorage) for another number of cells.
std::vector<CellSums> get_cell_sums(core::ByteSource& source, std::size_t n_cells);

}  // namespace phase0::analysis
