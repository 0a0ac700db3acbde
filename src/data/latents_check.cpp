#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "core/aligned_buffer.h"
#include "core/checked.h"
#include "data/latents.h"
#include "data/latents_values.h"

namespace phase0::data {
namespace {

using store::ElementType;

constexpr std::int64_t kReadBytes = std::int64_t{2} << 20;

/// Rows looked at together.
std::int64_t check_rows(const Latents& latents) {
  const std::int64_t row_bytes = latents.codec().row_bytes();
  return std::clamp<std::int64_t>(kReadBytes / row_bytes, 1, latents.n_frames());
}

/// One pass over the values of a file, frames and then energies. Under kError rows behind the first bad one
/// known so far are left out, which leaves the smallest bad row found independent of the order of the blocks.
class NonFiniteScan {
 public:
  NonFiniteScan(const Latents& latents, NonFinitePolicy policy, core::Execution& execution)
      : latents_(latents),
        drop_(policy == NonFinitePolicy::kDropUtterance),
        execution_(execution),
        type_(latents.codec().stored_type()),
        row_bytes_(latents.codec().row_bytes()),
        block_rows_(check_rows(latents)),
        marked_(latents.utterances().size(), 0),
        first_bad_row_(latents.n_frames()) {}

  std::vector<std::uint8_t> run() {
    if (latents_.codec().quantised()) {
      execution_.observer.task_advance(latents_.n_frames(), 0);
    } else if (latents_.mappable()) {
      scan_mapped(latents_.map_frames());
    } else {
      scan_read();
    }
    const std::int64_t bad_frame = first_bad_row_;
    if (latents_.has_energy()) scan_energy();
    if (first_bad_row_ < bad_frame) throw_energy(first_bad_row_);
    if (bad_frame < latents_.n_frames()) throw_frame(bad_frame);
    return std::move(marked_);
  }

 private:
  const Utterance& utterance(std::int64_t u) const {
    return latents_.utterances()[static_cast<std::size_t>(u)];
  }

  /// Looks at rows [first, first + n) of `columns` values each, `largest` at most.
  void scan(ElementType type, std::int64_t columns, float largest, const std::byte* values,
            std::int64_t first, std::int64_t n) {
    const std::int64_t row_bytes = columns * store::element_size(type);
    for (std::int64_t row = first; row < first + n;) {
      const std::int64_t left = (first + n - row) * columns;
      const std::int64_t found = first_unusable(type, values + (row - first) * row_bytes, left, largest);
      if (found == left) return;
      row += found / columns;
      if (!drop_) return note(row);
      const std::int64_t u = latents_.find(row);
      std::atomic_ref<std::uint8_t>(marked_[static_cast<std::size_t>(u)]).store(1, std::memory_order_relaxed);
      row = utterance(u).offset + utterance(u).n_frames;  // one is enough
    }
  }

  void note(std::int64_t row) {
    std::int64_t known = first_bad_row_.load();
    while (row < known && !first_bad_row_.compare_exchange_weak(known, row)) {
    }
  }

  void scan_mapped(const store::MappedDataset& frames) {
    const std::int64_t n = latents_.n_frames();
    const core::ScanNeed need = check_need(latents_);
    const std::int64_t n_blocks = check_blocks(latents_);
    const int workers =
        core::widest_scan(need, n_blocks, execution_.pool.size(), execution_.memory.free_bytes()).workers;
    const core::Reservation memory(execution_.memory, need.bytes(workers, workers), "checking input");
    const core::WorkerLimit limit(execution_.pool, workers);
    const std::int64_t ahead = execution_.pool.size() * block_rows_;
    const auto task = [&](std::int64_t block, int) {
      execution_.check_stop();
      const std::int64_t first = block * block_rows_;
      if (first >= first_bad_row_.load()) return;
      const std::int64_t rows = std::min(block_rows_, n - first);
      if (block == 0) frames.will_need(0, ahead);
      if (first + ahead < n) frames.will_need(first + ahead, std::min(block_rows_, n - first - ahead));
      scan(type_, latents_.dim(), kLargestFrameValue, frames.row(first), first, rows);
      frames.release(first, rows);
      execution_.observer.task_advance(rows, rows * row_bytes_);
    };
    execution_.pool.run(n_blocks, task);
  }

  void scan_read() {
    const core::Reservation memory(execution_.memory, check_need(latents_).minimum_bytes(), "checking input");
    core::AlignedBuffer<std::byte> buffer(block_rows_ * row_bytes_);
    for (std::int64_t first = 0; first < first_bad_row_; first += block_rows_) {
      execution_.check_stop();
      const std::int64_t rows = std::min(block_rows_, latents_.n_frames() - first);
      latents_.read_frames(first, rows, buffer.data());
      scan(type_, latents_.dim(), kLargestFrameValue, buffer.data(), first, rows);
      execution_.observer.task_advance(rows, rows * row_bytes_);
    }
  }

  void scan_energy() {
    constexpr std::int64_t kBlock = kReadBytes / static_cast<std::int64_t>(sizeof(float));
    const std::int64_t end = first_bad_row_;  // a frame goes before its own energy
    const std::int64_t block = std::min(kBlock, end);
    const core::Reservation memory(execution_.memory, block * 4 + latents_.read_bytes(), "checking input");
    core::AlignedBuffer<float> buffer(block);
    for (std::int64_t first = 0; first < std::min<std::int64_t>(end, first_bad_row_); first += block) {
      execution_.check_stop();
      const std::int64_t rows = std::min(block, end - first);
      latents_.read_energy(first, rows, buffer.data());
      scan(ElementType::kFloat32, 1, kLargestEnergy, reinterpret_cast<const std::byte*>(buffer.data()), first,
           rows);
      execution_.observer.task_advance(0, rows * 4);
    }
  }

  [[noreturn]] void fail(const std::string& dataset, std::int64_t u, std::int64_t row,
                         const std::string& what) const {
    throw Error(ErrorKind::kData, what,
                ErrorPlace{.path = latents_.path(),
                           .dataset = dataset,
                           .utterance = utterance(u).id,
                           .frame = row - utterance(u).offset});
  }

  [[noreturn]] void throw_frame(std::int64_t row) const {
    core::AlignedBuffer<std::byte> values(row_bytes_);
    latents_.read_frames(row, 1, values.data());
    const std::int64_t column = first_unusable(type_, values.data(), latents_.dim(), kLargestFrameValue);
    const std::byte* value = values.data() + column * store::element_size(type_);
    const std::int64_t u = latents_.find(row);
    fail(
        latents_.frames_name(u), u, row,
        fmt::format("holds {} in dimension {}", describe_unusable(type_, value, kLargestFrameValue), column));
  }

  [[noreturn]] void throw_energy(std::int64_t row) const {
    float value = 0;
    latents_.read_energy(row, 1, &value);
    const std::int64_t u = latents_.find(row);
    fail(latents_.energy_name(u), u, row,
         fmt::format("holds {}",
                     describe_unusable(ElementType::kFloat32, reinterpret_cast<const std::byte*>(&value),
                                       kLargestEnergy)));
  }

  const Latents& latents_;
  const bool drop_;
  core::Execution& execution_;
  const ElementType type_;  ///< of frames that are no codes
  const std::int64_t row_bytes_;
  const std::int64_t block_rows_;
  std::vector<std::uint8_t> marked_;         ///< per utterance, under kDropUtterance
  std::atomic<std::int64_t> first_bad_row_;  ///< under kError; T as long as none is known
};

}  // namespace

core::ScanNeed check_need(const Latents& latents) {
  const std::int64_t rows = check_rows(latents);
  const std::int64_t frames = core::checked_mul(rows, latents.codec().row_bytes(), "frames");
  if (latents.codec().quantised()) return {};
  if (latents.mappable()) return {0, 0, frames};
  return {frames + latents.read_bytes(), 0, 0};
}

std::int64_t check_blocks(const Latents& latents) {
  return core::ceil_div(latents.n_frames(), check_rows(latents));
}

std::vector<std::uint8_t> find_non_finite(const Latents& latents, NonFinitePolicy policy,
                                          core::Execution& execution) {
  const core::TaskScope task(execution.observer, "checking input", latents.n_frames());
  return NonFiniteScan(latents, policy, execution).run();
}

}  // namespace phase0::data
