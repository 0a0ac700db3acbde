#include "analysis/cell_sums_units.h"

#include "phase0/error.h"

namespace phase0::analysis {

template <class Visit, core::Like<EntropySums> T>
void each_field(Visit& visit, T& sums) {
  visit(sums.unconditional, sums.weighted, sums.n_rows);
}

template <class Visit, core::Like<CellSums> T>
void each_field(Visit& visit, T& cell) {
  visit(cell.observed, cell.entropy, cell.cluster_variance, cell.speakers, cell.curve, cell.permuted);
}

void put_cell_sums(core::ByteSink& sink, const std::vector<CellSums>& cells) {
  core::write_fields(sink, cells);
}

std::vector<CellSums> get_cell_sums(core::ByteSource& source, std::size_t n_cells) {
  auto cells = core::read_fields<std::vector<CellSums>>(source);
  if (cells.size() != n_cells) throw Error(ErrorKind::kStorage, "has another number of cells");
  return cells;
}

}  // namespace phase0::analysis
