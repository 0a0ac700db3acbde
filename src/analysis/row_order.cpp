#include "analysis/row_order.h"

#include <algorithm>

namespace phase0::analysis {

SpeakerOrder::SpeakerOrder(const data::SampleIndex& index, std::int64_t min_speaker_rows)
    : n_rows_(index.n_rows()) {
  for (const auto& utterance : index.utterances()) items_.push_back({&utterance, -1, false});
  std::stable_sort(items_.begin(), items_.end(),
                   [](const Item& a, const Item& b) { return a.utterance->speaker < b.utterance->speaker; });
  for (std::size_t first = 0; first < items_.size();) {
    const std::int32_t speaker = items_[first].utterance->speaker;
    std::size_t end = first;
    std::int64_t n_rows = 0;
    for (; end < items_.size() && items_[end].utterance->speaker == speaker; ++end) {
      n_rows += items_[end].utterance->n_rows;
    }
    if (n_rows >= min_speaker_rows) {
      for (std::size_t i = first; i < end; ++i)
        items_[i].slot = static_cast<std::int32_t>(slot_speakers_.size());
      slot_speakers_.push_back(speaker);
    }
    items_[end - 1].last_of_speaker = true;
    first = end;
  }
}

bool ChunkReader::next(Chunk& chunk) {
  chunk.n_rows = 0;
  chunk.segments.clear();
  chunk.loads.clear();
  chunk.speakers.clear();
  while (item_ < order_->items_.size() && chunk.n_rows < chunk_rows_) {
    const SpeakerOrder::Item& item = order_->items_[item_];
    const std::int64_t n = std::min(item.utterance->n_rows - skip_, chunk_rows_ - chunk.n_rows);
    append(item, n, chunk);
    skip_ += n;
    if (skip_ == item.utterance->n_rows) {
      chunk.speakers.back().ends = item.last_of_speaker;
      skip_ = 0;
      ++item_;
    }
  }
  return chunk.n_rows > 0;
}

void ChunkReader::append(const SpeakerOrder::Item& item, std::int64_t n, Chunk& chunk) const {
  std::int64_t row = item.utterance->first_row + skip_;
  chunk.segments.push_back({item.utterance, row, n, chunk.n_rows});
  if (chunk.speakers.empty() || chunk.speakers.back().ends) {
    chunk.speakers.push_back({item.slot, chunk.n_rows, 0, false});
  }
  chunk.speakers.back().n_rows += n;
  while (n > 0) {
    LoadRange* last = chunk.loads.empty() ? nullptr : &chunk.loads.back();
    if (last == nullptr || last->first_row + last->n_rows != row || last->n_rows == load_rows_) {
      last = &chunk.loads.emplace_back(LoadRange{row, 0, chunk.n_rows});
    }
    const std::int64_t count = std::min(n, load_rows_ - last->n_rows);
    last->n_rows += count;
    row += count;
    n -= count;
    chunk.n_rows += count;
  }
}

}  // namespace phase0::analysis
