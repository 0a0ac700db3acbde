#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace phase0 {

/// What went wrong, and with it the exit code of the `phase0` program.
enum class ErrorKind : int {
  kInternal = 1,     ///< a bug in phase0
  kConfig = 2,       ///< usage or configuration
  kData = 3,         ///< bad input data
  kMemory = 4,       ///< the memory budget is too small
  kStorage = 5,      ///< disk full, I/O, permission
  kInterrupted = 6,  ///< stopped on request; the work can be resumed
};

/// Where it went wrong; empty or negative fields are unknown and not printed.
struct ErrorPlace {
  std::string path = {};       ///< file
  std::string dataset = {};    ///< HDF5 object inside the file, or key of a configuration
  std::string utterance = {};  ///< utterance id
  std::int64_t frame = -1;   ///< frame inside the utterance, or row of the dataset when there is no utterance
  std::int64_t line = -1;    ///< line of a text file, from 1
  std::int64_t offset = -1;  ///< byte offset in the file
};

/// The one exception type of phase0. `what()` is one line: `path:line: dataset D: utterance U, frame F:
/// message`, with long names cut.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, ErrorPlace place = {});

  ErrorKind kind() const { return kind_; }
  const ErrorPlace& place() const { return place_; }
  /// The message without the place.
  const std::string& message() const { return message_; }
  /// Exit code of the program for this error.
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
  ErrorPlace place_;
  std::string message_;
};

}  // namespace phase0
