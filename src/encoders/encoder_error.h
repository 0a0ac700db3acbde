#pragma once

#include <cstdint>
#include <string>

#include "phase0/error.h"

namespace phase0::encoders {

/// How an encoder failed.
enum class Failure {
  kOutOfMemory,  ///< it said `oom`: fewer items at a time may do
  kInput,        ///< it said `input`: the item cannot be encoded
  kInternal,     ///< it said `internal`
  kTimeout,      ///< it was silent for too long
  kEnded,        ///< it exited or crashed
  kKilled,       ///< by SIGKILL, and not by us: mostly the kernel, which needed the memory
  kProtocol,     ///< what it said breaks data/ENCODER.md
  kRows,         ///< a wrong number of rows, or rows that are not finite
  kTooLarge,     ///< an answer of more bytes than are allowed
};

/// What it is called in tables and messages.
const char* to_string(Failure failure);

/// A failure of an encoder (kData). `item` is the number of the item in its message, or -1.
class EncoderError : public Error {
 public:
  EncoderError(Failure failure, const std::string& message, std::int64_t item = -1)
      : Error(ErrorKind::kData, message), failure_(failure), item_(item) {}

  Failure failure() const { return failure_; }
  std::int64_t item() const { return item_; }
  /// Whether the encoder can be asked again; otherwise it has to be ended.
  bool is_usable() const { return failure_ == Failure::kOutOfMemory || failure_ == Failure::kInput; }

 private:
  Failure failure_;
  std::int64_t item_;
};

}  // namespace phase0::encoders
