#include "data/row_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "data/latents_values.h"

namespace phase0::data {
namespace {

constexpr std::int64_t kBlockValues = std::int64_t{1} << 18;
constexpr std::int64_t kMostBlockRows = 16384;

}  // namespace

std::int64_t RowScan::block_rows(std::int64_t dim) {
  return std::clamp<std::int64_t>(kBlockValues / dim, 1, kMostBlockRows);
}

std::int64_t RowScan::n_blocks(const RowInput& input) {
  return core::ceil_div(input.n_rows(), block_rows(input.codec().dim()));
}

core::ScanNeed RowScan::need(const RowInput& input, std::int64_t block_bytes, std::int64_t worker_bytes) {
  const std::int64_t rows = std::min(block_rows(input.codec().dim()), input.n_rows());
  const std::int64_t stored = core::checked_mul(rows, input.codec().row_bytes(), "rows");
  const std::int64_t floats = core::checked_mul(rows, 4 * input.codec().dim(), "rows");
  core::ScanNeed need;
  need.fixed_bytes = input.mappable() ? 0 : input.read_bytes();
  need.block_bytes = block_bytes + (input.mappable() ? 0 : stored);
  need.worker_bytes = worker_bytes + floats + (input.mappable() ? stored : 0);
  return need;
}

RowScan::RowScan(const RowInput& input, core::Execution& execution, const core::ScanSize& size, float largest)
    : input_(input),
      execution_(execution),
      size_(size),
      largest_(largest),
      block_rows_(std::min(block_rows(input.codec().dim()), input.n_rows())),
      stored_(static_cast<std::size_t>(size.workers)),
      rows_(static_cast<std::size_t>(size.workers)),
      first_bad_(input.n_rows()) {
  if (input.mappable()) {
    mapped_ = input.map();
  } else {
    chunk_.resize(size.blocks * block_rows_ * row_bytes());
  }
}

void RowScan::run(const std::string& task, const Work& work, const Finish& finish, const Aside& aside) {
  const core::TaskScope scope(execution_.observer, task, input_.n_rows());
  const core::WorkerLimit limit(execution_.pool, std::min(size_.workers, execution_.pool.size()));
  const std::int64_t chunk_rows = size_.blocks * block_rows_;
  if (!mapped_.empty()) mapped_.will_need(0, chunk_rows);
  for (std::int64_t first = 0; first < input_.n_rows(); first += chunk_rows) {
    execution_.check_stop();
    const std::int64_t n = std::min(chunk_rows, input_.n_rows() - first);
    const std::int64_t blocks = core::ceil_div(n, block_rows_);
    if (mapped_.empty()) {
      input_.read(first, n, chunk_.data());
    } else {
      mapped_.will_need(first + n, std::min(chunk_rows, input_.n_rows() - first - n));
    }
    const std::int64_t n_aside = aside ? 1 : 0;
    execution_.pool.run(n_aside + blocks, [&](std::int64_t item, int worker) {
      if (item < n_aside) return aside();
      const std::int64_t skip = (item - n_aside) * block_rows_;
      Block block{.slot = item - n_aside};
      load(first + skip, std::min(block_rows_, n - skip),
           mapped_.empty() ? chunk_.data() + skip * row_bytes() : nullptr, worker, block);
      if (block.rows != nullptr) work(block, worker);
      execution_.observer.task_advance(std::min(block_rows_, n - skip),
                                       std::min(block_rows_, n - skip) * row_bytes());
    });
    if (first_bad_ < input_.n_rows()) fail(first_bad_);
    finish(first, n, blocks);
  }
}

void RowScan::load(std::int64_t first, std::int64_t n, const std::byte* stored, int worker, Block& block) {
  if (stored == nullptr) {
    core::AlignedBuffer<std::byte>& buffer = stored_[static_cast<std::size_t>(worker)];
    buffer.resize(block_rows_ * row_bytes());
    mapped_.read(first, n, buffer.data());
    stored = buffer.data();
  }
  core::AlignedBuffer<float>& rows = rows_[static_cast<std::size_t>(worker)];
  const std::int64_t dim = input_.codec().dim();
  rows.resize(block_rows_ * dim);
  input_.codec().decode_rows(stored, n, rows.data());
  const std::int64_t bad = first_unusable(store::ElementType::kFloat32,
                                          reinterpret_cast<const std::byte*>(rows.data()), n * dim, largest_);
  if (bad < n * dim) return note(first + bad / dim);
  block.first = first;
  block.n = n;
  block.rows = rows.data();
}

void RowScan::note(std::int64_t row) {
  std::int64_t known = first_bad_.load();
  while (row < known && !first_bad_.compare_exchange_weak(known, row)) {
  }
}

void RowScan::fail(std::int64_t row) const {
  const RowCodec& codec = input_.codec();
  core::AlignedBuffer<std::byte> stored(row_bytes());
  core::AlignedBuffer<float> values(codec.dim());
  input_.read(row, 1, stored.data());
  codec.decode_rows(stored.data(), 1, values.data());
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  const std::int64_t column = first_unusable(store::ElementType::kFloat32, bytes, codec.dim(), largest_);
  const bool floats = !codec.quantised();
  const std::byte* value = floats ? stored.data() + codec.bytes_of(column) : bytes + 4 * column;
  const auto type = floats ? codec.stored_type() : store::ElementType::kFloat32;
  std::string what =
      fmt::format("holds {} in dimension {}", describe_unusable(type, value, largest_), column);
  if (std::isfinite(values[column]) && largest_ == kLargestHalf) {
    what = fmt::format("holds {} in dimension {}, which float16 cannot: {} at most", values[column], column,
                       kLargestHalf);
  }
  throw Error(ErrorKind::kData, what, input_.place(row));
}

}  // namespace phase0::data
