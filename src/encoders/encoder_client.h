#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/child_process.h"
#include "encoders/messages.h"

namespace phase0::encoders {

/// How an encoder is to be run, and what it is given.
struct EncoderSettings {
  ChildCommand command;
  std::string device = "cpu";
  int threads = 1;
  std::chrono::milliseconds hello_timeout{60'000};          ///< from the start to the hello
  std::chrono::milliseconds encode_timeout{60'000};         ///< for one message of items
  std::chrono::milliseconds bye_timeout{5'000};             ///< from bye to the end
  std::int64_t max_reply_bytes = std::int64_t{1} << 30;     ///< of rows; more is refused before they are read
  std::int64_t max_sequence_bytes = std::int64_t{1} << 30;  ///< of the rows of one sequence
  std::optional<Hello> expected;                            ///< any other hello breaks the protocol
};

/// The rows of some items.
struct EncodedRows {
  std::vector<std::int64_t> frames;  ///< of each item
  std::int64_t n_rows = 0;           ///< their sum
  std::vector<std::byte> bytes;      ///< [n_rows, dim] of the encoder's type, little-endian, all finite
};

/// One running encoder: the asking side of the protocol (data/ENCODER.md). Not thread-safe; use it in the
/// thread that made it.
///
/// Every method throws EncoderError for what the encoder does wrong, with the end of its standard error in
/// the message; unless that is_usable(), nothing more can be asked. Error (kStorage) is this machine's fault.
class EncoderClient {
 public:
  /// Starts the encoder and waits for its hello. Throws Error (kConfig) when the command cannot be run.
  EncoderClient(ProcessKeeper& keeper, const EncoderSettings& settings);

  const Hello& hello() const { return hello_; }
  pid_t pid() const { return child_.pid(); }
  /// From the start of the process to its hello.
  double hello_seconds() const { return hello_seconds_; }

  /// 1 .. max_items items, each of at most max_item_bytes.
  EncodedRows encode(std::span<const std::string_view> items);
  /// Whether it says nothing unasked for this long.
  bool is_silent(std::chrono::milliseconds time) { return child_.is_silent(Clock::now() + time); }
  /// Asks it to end. Throws when it does not in time, or not with code 0. Nothing else can be called then.
  /// Gives the number of processes that it left behind, which are no more.
  std::int64_t say_bye();
  /// The same by the end of its standard input.
  std::int64_t close_input();

 private:
  template <typename Talk>
  auto explained(const Talk& talk);
  Hello read_hello();
  EncodedRows read_rows(std::int64_t n_items, Clock::time_point deadline);
  std::int64_t await_end();

  EncoderSettings settings_;
  double hello_seconds_ = 0;
  ChildProcess child_;
  Hello hello_;
  std::int64_t next_id_ = 1;
};

}  // namespace phase0::encoders
