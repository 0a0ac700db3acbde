#include "analysis/cell_sums_units.h"

#include "phase0/error.h"

namespace phase0::analysis {
namespace {

using core::ByteSink;
using core::ByteSource;

void put(ByteSink& sink, double value) {
  sink.put(value);
}
void get(ByteSource& source, double& value) {
  value = source.get<double>();
}

void put(ByteSink& sink, const GroupSums& sums) {
  sink.put(sums.n_rows);
  sink.put(sums.n_clusters);
  sink.put(sums.raw);
  sink.put(sums.within);
  sink.put(sums.total);
}
void get(ByteSource& source, GroupSums& sums) {
  sums.n_rows = source.get<std::int64_t>();
  sums.n_clusters = source.get<std::int64_t>();
  sums.raw = source.get<double>();
  sums.within = source.get<double>();
  sums.total = source.get<double>();
}

void put(ByteSink& sink, const EntropySums& sums) {
  sink.put(sums.unconditional);
  sink.put(sums.weighted);
  sink.put(sums.n_rows);
}
void get(ByteSource& source, EntropySums& sums) {
  sums.unconditional = source.get<double>();
  sums.weighted = source.get<double>();
  sums.n_rows = source.get<std::int64_t>();
}

/// A number, or the count of an empty list.
constexpr std::int64_t kLeastBytes = 8;

template <class T>
void put(ByteSink& sink, const std::vector<T>& values) {
  sink.put(std::ssize(values));
  for (const T& value : values) put(sink, value);
}
template <class T>
void get(ByteSource& source, std::vector<T>& values) {
  values.clear();
  for (auto n = source.get_count(kLeastBytes); n > 0; --n) get(source, values.emplace_back());
}

}  // namespace

void put_cell_sums(ByteSink& sink, const std::vector<CellSums>& cells) {
  sink.put(std::ssize(cells));
  for (const CellSums& cell : cells) {
    put(sink, cell.observed);
    put(sink, cell.entropy);
    put(sink, cell.cluster_variance);
    put(sink, cell.speakers);
    put(sink, cell.curve);
    put(sink, cell.permuted);
  }
}

std::vector<CellSums> get_cell_sums(ByteSource& source, std::size_t n_cells) {
  if (source.get<std::int64_t>() != static_cast<std::int64_t>(n_cells)) {
    throw Error(ErrorKind::kStorage, "has another number of cells");
  }
  std::vector<CellSums> cells(n_cells);
  for (CellSums& cell : cells) {
    get(source, cell.observed);
    get(source, cell.entropy);
    get(source, cell.cluster_variance);
    get(source, cell.speakers);
    get(source, cell.curve);
    get(source, cell.permuted);
  }
  return cells;
}

}  // namespace phase0::analysis
