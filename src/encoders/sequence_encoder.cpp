#include "encoders/sequence_encoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/clock.h"
#include "core/memory.h"
#include "encoders/encoder_error.h"
#include "encoders/length_buckets.h"

namespace phase0::encoders {
namespace {

constexpr std::int64_t kFirstBatch = 2;  ///< encoders on a CPU are often best at few, and growth is quick
constexpr double kNearLimit =
    0.25;  ///< share of the time limit: a step up and a slow moment are to stay under it

}  // namespace

BatchSizes::BatchSizes(const std::string& encoder, std::int64_t ceiling, std::int64_t fixed,
                       const core::TuningTable& start)
    : encoder_(encoder), ceiling_(ceiling), fixed_(std::min(fixed, ceiling)), start_(start) {}

std::string BatchSizes::key(int bucket) const {
  return fmt::format("encoder {}, items under {} bytes", encoder_, std::int64_t{1} << bucket);
}

BatchTuner& BatchSizes::tuner(int bucket) {
  const auto found = tuners_.find(bucket);
  if (found != tuners_.end()) return found->second;
  const auto known = start_.find(key(bucket));
  const std::int64_t start = known == start_.end() ? kFirstBatch : known->second;
  return tuners_.emplace(bucket, BatchTuner(start, ceiling_)).first->second;
}

std::int64_t BatchSizes::items(int bucket, std::int64_t longest) {
  const std::lock_guard lock(mutex_);
  if (fixed_ > 0) return fixed_;
  return memory_.most_items(worker_bytes_, longest, tuner(bucket).items());
}

void BatchSizes::keep_within(const WorkerMemory& memory, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  memory_ = memory;
  worker_bytes_ = bytes;
}

void BatchSizes::worked(int bucket, std::int64_t n_items, double seconds, double limit_seconds) {
  const std::lock_guard lock(mutex_);
  if (fixed_ > 0) return;
  tuner(bucket).worked(n_items, seconds);
  if (seconds > kNearLimit * limit_seconds) tuner(bucket).limit(n_items);
}

bool BatchSizes::too_much(int bucket, std::int64_t n_items) {
  const std::lock_guard lock(mutex_);
  return fixed_ == 0 && tuner(bucket).too_much(n_items);
}

core::TuningTable BatchSizes::table() {
  const std::lock_guard lock(mutex_);
  core::TuningTable table = start_;
  for (const auto& [bucket, tuner] : tuners_) table[key(bucket)] = tuner.items();
  return table;
}

void EncoderTimes::add(const EncoderTimes& other) {
  message_seconds.insert(message_seconds.end(), other.message_seconds.begin(), other.message_seconds.end());
  n_items += other.n_items;
  largest_message_bytes = std::max(largest_message_bytes, other.largest_message_bytes);
  largest_sequence_bytes = std::max(largest_sequence_bytes, other.largest_sequence_bytes);
  n_starts += other.n_starts;
  n_out_of_memory += other.n_out_of_memory;
  if (hello_seconds == 0) hello_seconds = other.hello_seconds;
  if (first_message_seconds == 0) first_message_seconds = other.first_message_seconds;
}

SequenceEncoder::SequenceEncoder(ProcessKeeper& keeper, const EncoderSettings& settings, BatchSizes& batches)
    : keeper_(keeper), settings_(settings), batches_(batches) {}

void SequenceEncoder::adopt(std::unique_ptr<EncoderClient> client) {
  client_ = std::move(client);
  if (times_.n_starts++ == 0) times_.hello_seconds = client_->hello_seconds();
}

void SequenceEncoder::start() {
  if (!client_) adopt(std::make_unique<EncoderClient>(keeper_, settings_));
}

SequenceRows SequenceEncoder::encode(const std::vector<std::string>& items) {
  try {
    return encode_once(items);
  } catch (const EncoderError& error) {
    if (error.failure() == Failure::kInput) throw;
    client_.reset();
  }
  try {
    return encode_once(items);
  } catch (const EncoderError& error) {
    if (error.failure() != Failure::kInput) client_.reset();
    throw;
  }
}

/// After a batch that was too much half of it is tried. False for another failure, and when one item is too
/// much already.
bool SequenceEncoder::can_go_on(const EncoderError& error, int bucket, std::int64_t n_items) {
  switch (error.failure()) {
    case Failure::kOutOfMemory:
    case Failure::kKilled:
      ++times_.n_out_of_memory;
      break;
    case Failure::kTooLarge:
      break;
    case Failure::kTimeout:  // perhaps it hangs, perhaps there was too much to do: a failure with a lesson
      batches_.too_much(bucket, n_items);
      return false;
    default:
      return false;
  }
  if (!error.is_usable()) client_.reset();
  return batches_.too_much(bucket, n_items);
}

SequenceRows SequenceEncoder::encode_once(const std::vector<std::string>& items) {
  std::vector<std::int64_t> lengths;
  for (const std::string& item : items) lengths.push_back(std::ssize(item));
  BucketedItems left(lengths);
  SequenceRows rows;
  rows.parts.resize(items.size());
  while (!left.empty()) {
    start();
    const int bucket = left.bucket();
    const std::vector<std::int64_t> batch =
        left.take(std::min(batches_.items(bucket, left.longest()), client_->hello().max_items));
    try {
      encode_batch(items, bucket, batch, rows);
    } catch (const EncoderError& error) {
      if (!can_go_on(error, bucket, std::ssize(batch))) throw;
      left.give_back(batch);
    }
  }
  times_.largest_sequence_bytes = std::max(times_.largest_sequence_bytes, rows.n_bytes);
  return rows;
}

void SequenceEncoder::encode_batch(const std::vector<std::string>& items, int bucket,
                                   const std::vector<std::int64_t>& batch, SequenceRows& rows) {
  std::vector<std::string_view> views;
  for (const std::int64_t item : batch) views.push_back(items[static_cast<std::size_t>(item)]);
  try {
    add_rows(timed_encode(bucket, views), batch, rows);
  } catch (const EncoderError& error) {
    if (error.failure() != Failure::kInput) throw;
    const auto item = batch[static_cast<std::size_t>(error.item())];
    throw EncoderError(Failure::kInput, fmt::format("item {}: {}", item, error.message()), item);
  }
}

EncodedRows SequenceEncoder::timed_encode(int bucket, const std::vector<std::string_view>& views) {
  std::size_t longest = 0;
  for (const std::string_view view : views) longest = std::max(longest, view.size());
  // Beforehand: one that is too much takes memory as well.
  times_.largest_message_bytes =
      std::max(times_.largest_message_bytes, static_cast<std::int64_t>(longest * views.size()));
  const double begin = core::now_seconds();
  EncodedRows encoded = client_->encode(views);
  const double seconds = core::now_seconds() - begin;
  batches_.worked(bucket, std::ssize(views), seconds,
                  std::chrono::duration<double>(settings_.encode_timeout).count());
  if (times_.message_seconds.empty()) times_.first_message_seconds = seconds;
  times_.message_seconds.push_back(seconds);
  times_.n_items += std::ssize(views);
  return encoded;
}

void SequenceEncoder::add_rows(const EncodedRows& encoded, const std::vector<std::int64_t>& batch,
                               SequenceRows& rows) const {
  rows.n_rows += encoded.n_rows;
  rows.n_bytes += std::ssize(encoded.bytes);
  if (rows.n_bytes > settings_.max_sequence_bytes) {
    throw Error(ErrorKind::kMemory, fmt::format("its rows take more than {}, a quarter of the memory budget",
                                                core::format_bytes(settings_.max_sequence_bytes)));
  }
  const std::byte* from = encoded.bytes.data();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::byte* const end = from + encoded.frames[i] * client_->hello().row_bytes();
    rows.parts[static_cast<std::size_t>(batch[i])].assign(from, end);
    from = end;
  }
}

void SequenceEncoder::finish() {
  if (!client_) return;
  try {
    client_->say_bye();
  } catch (const std::exception&) {  // it has done its work, or nobody waits for it any more
  }
  client_.reset();
}

}  // namespace phase0::encoders
