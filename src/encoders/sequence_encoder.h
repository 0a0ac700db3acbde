#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/tuning_table.h"
#include "encoders/batch_tuner.h"
#include "encoders/encoder_client.h"
#include "encoders/encoder_error.h"
#include "encoders/worker_plan.h"

namespace phase0::encoders {

/// Batch sizes by length of the items, shared by the workers of one encoder. Thread-safe.
class BatchSizes {
 public:
  /// `fixed` items in every message, or tuned when 0; never more than `ceiling`. Tuning starts from what
  /// `start` knows.
  BatchSizes(const std::string& encoder, std::int64_t ceiling, std::int64_t fixed,
             const core::TuningTable& start);

  /// For items of `longest` bytes and less of a bucket.
  std::int64_t items(int bucket, std::int64_t longest);
  /// From now on no more than fit `bytes` of a worker.
  void keep_within(const WorkerMemory& memory, std::int64_t bytes);
  /// `seconds` of the `limit_seconds` that a message may take: what comes near the limit is not gone beyond.
  void worked(int bucket, std::int64_t n_items, double seconds, double limit_seconds);
  /// False when there is nothing smaller: one item, or a fixed size.
  bool too_much(int bucket, std::int64_t n_items);
  /// What tuning has come to, for the next run.
  core::TuningTable table();

 private:
  std::string key(int bucket) const;
  BatchTuner& tuner(int bucket);

  std::mutex mutex_;
  std::string encoder_;
  std::int64_t ceiling_, fixed_;
  core::TuningTable start_;
  std::map<int, BatchTuner> tuners_;
  WorkerMemory memory_;
  std::int64_t worker_bytes_ = 0;
};

/// What a worker has seen of its encoder.
struct EncoderTimes {
  std::vector<double> message_seconds;
  std::int64_t n_items = 0;
  std::int64_t largest_message_bytes = 0;   ///< most items x the longest of them
  std::int64_t largest_sequence_bytes = 0;  ///< of rows
  std::int64_t n_starts = 0;
  std::int64_t n_out_of_memory = 0;
  double hello_seconds = 0;          ///< of the first start
  double first_message_seconds = 0;  ///< the first of all
  void add(const EncoderTimes& other);
};

/// The rows of one sequence.
struct SequenceRows {
  std::int64_t n_rows = 0;
  std::int64_t n_bytes = 0;
  std::vector<std::vector<std::byte>> parts;  ///< of each item, in their order
};

/// Encodes sequences one after the other with an encoder of its own, which it starts when there is something
/// to do and anew when it fails. Not thread-safe; destroy it in the thread that used it.
class SequenceEncoder {
 public:
  SequenceEncoder(ProcessKeeper& keeper, const EncoderSettings& settings, BatchSizes& batches);

  /// Starts the encoder, unless it runs.
  void start();
  /// Uses an encoder that runs already.
  void adopt(std::unique_ptr<EncoderClient> client);
  /// Out of memory (said by the encoder, or it was killed) means fewer items at a time; any other failure,
  /// once, a fresh encoder for the whole sequence. Throws EncoderError when that fails too, and for an item
  /// that cannot be encoded; Error (kMemory) for more rows than one sequence may have.
  SequenceRows encode(const std::vector<std::string>& items);
  /// Ends the encoder.
  void finish();
  const EncoderTimes& times() const { return times_; }

 private:
  SequenceRows encode_once(const std::vector<std::string>& items);
  void encode_batch(const std::vector<std::string>& items, int bucket, const std::vector<std::int64_t>& batch,
                    SequenceRows& rows);
  EncodedRows timed_encode(int bucket, const std::vector<std::string_view>& views);
  void add_rows(const EncodedRows& encoded, const std::vector<std::int64_t>& batch, SequenceRows& rows) const;
  bool can_go_on(const EncoderError& error, int bucket, std::int64_t n_items);

  ProcessKeeper& keeper_;
  const EncoderSettings& settings_;
  BatchSizes& batches_;
  std::unique_ptr<EncoderClient> client_;
  EncoderTimes times_;
};

}  // namespace phase0::encoders
