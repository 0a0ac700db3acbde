#include "data/features_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "store/checksum.h"

namespace phase0::data {
namespace {

/// Read back at a time.
constexpr std::int64_t kPieceBytes = std::int64_t{256} << 10;

}  // namespace

FeaturesProgress::FeaturesProgress(core::Execution& execution, const std::string& key)
    : execution_(execution), checkpoint_(execution.units, {"collect: progress", key}) {
  load(finished_);
}

bool FeaturesProgress::load(Datasets& datasets) {
  return checkpoint_.load([&](core::ByteSource& source) {
    Datasets found;
    while (source.remaining() > 0) {
      const std::string name = source.get_text();
      Finished& finished = found[name];
      finished.rows = source.get<std::int64_t>();
      finished.checksum = source.get<std::uint32_t>();
    }
    datasets = std::move(found);
  });
}

void FeaturesProgress::begin(store::H5Writer& file, bool resumed) {
  file_ = &file;
  if (!found()) return;
  if (!resumed) return start_over(LogLevel::kInfo, "the partial file is not the one that was kept");
  const std::string damaged = damaged_dataset();
  if (!damaged.empty()) start_over(LogLevel::kWarning, damaged + " is damaged in the partial file");
}

void FeaturesProgress::start_over(LogLevel level, const std::string& why) {
  execution_.observer.log(level, "collect: starts over, " + why);
  finished_.clear();
  checkpoint_.drop();
}

std::string FeaturesProgress::damaged_dataset() const {
  const core::TaskScope task(execution_.observer, "checking what is finished", std::ssize(finished_));
  for (const auto& [name, finished] : finished_) {
    const store::MappedDataset rows = file_->map(name);
    if (finished.rows < 0 || finished.rows > rows.rows() || !sound(rows, finished)) return name;
    execution_.observer.task_advance(1, finished.rows * rows.row_bytes());
  }
  return {};
}

bool FeaturesProgress::sound(const store::MappedDataset& rows, const Finished& finished) const {
  const core::Reservation memory(execution_.memory, kPieceBytes, "checking what is finished");
  std::vector<std::byte> piece(static_cast<std::size_t>(kPieceBytes));
  const std::int64_t bytes = finished.rows * rows.row_bytes();
  std::uint32_t sum = 0;
  for (std::int64_t first = 0; first < bytes; first += kPieceBytes) {
    execution_.check_stop();
    const std::int64_t n = std::min(kPieceBytes, bytes - first);
    rows.region().read(first, n, piece.data());
    rows.region().flush(first, n);  // out of the page cache, which may be smaller
    sum = store::checksum(sum, piece.data(), n);
  }
  return sum == finished.checksum;
}

std::int64_t FeaturesProgress::resume(const std::string& dataset, const std::string& task,
                                      std::int64_t n_rows) const {
  const auto found = finished_.find(dataset);
  if (found == finished_.end()) return 0;
  execution_.observer.log(LogLevel::kInfo, fmt::format("{}: {} of {} rows are there from an earlier start",
                                                       task, found->second.rows, n_rows));
  return found->second.rows;
}

std::uint32_t FeaturesProgress::checksum(const store::MappedDataset& rows, std::int64_t first,
                                         std::int64_t n) const {
  if (execution_.units == nullptr || n == 0) return 0;
  return store::checksum(0, rows.row(first), n * rows.row_bytes());
}

void FeaturesProgress::add(const std::string& dataset, std::int64_t n_rows, std::int64_t bytes,
                           std::uint32_t checksum) {
  if (execution_.units == nullptr || n_rows == 0) return;
  Finished& finished = finished_[dataset];
  finished.rows += n_rows;
  finished.checksum = store::joined_checksum(finished.checksum, checksum, bytes);
  changed_ = true;
}

void FeaturesProgress::finish(const std::string& dataset, const store::MappedDataset& rows,
                              std::int64_t first, std::int64_t n) {
  const std::uint32_t sum = checksum(rows, first, n);
  rows.flush(first, n);
  add(dataset, n, n * rows.row_bytes(), sum);
}

void FeaturesProgress::save_when_due() {
  if (checkpoint_.due()) save();
}

void FeaturesProgress::save() {
  file_->sync();
  checkpoint_.save([this](core::ByteSink& sink) {
    for (const auto& [name, finished] : finished_) {
      sink.put_text(name);
      sink.put(finished.rows);
      sink.put(finished.checksum);
    }
  });
  changed_ = false;
}

void FeaturesProgress::stop() {
  if (file_ == nullptr || execution_.units == nullptr) return;
  if (file_->sync_failed()) return checkpoint_.drop();
  if (changed_) save();
  Datasets kept;
  file_->keep_partial(load(kept) && !kept.empty());
}

}  // namespace phase0::data
