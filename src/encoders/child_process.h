#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/process_keeper.h"
#include "store/posix_file.h"

namespace phase0::encoders {

/// How an encoder is started: no shell is involved.
struct ChildCommand {
  std::vector<std::string> arguments;        ///< program, looked up in PATH, and its arguments; at least one
  std::map<std::string, std::string> env{};  ///< on top of this process's environment
};

using Clock = std::chrono::steady_clock;

/// A running program behind its standard input and output. Every wait ends at a deadline, every size is
/// bounded, and what it writes to standard error is taken in all the while and its end kept. Not thread-safe;
/// start it from a thread that lives as long: the program is killed should that thread end. What waits throws
/// Error (kInterrupted) when the keeper is told to stop.
class ChildProcess {
 public:
  /// Throws Error: kConfig when the command cannot be run, kStorage when there are no resources for it.
  ChildProcess(ProcessKeeper& keeper, const ChildCommand& command);
  /// Kills it and all its descendants, unless end() was called.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  /// Sends all of it. Throws EncoderError: kTimeout, kEnded, kKilled, or kProtocol when it says something
  /// before it has taken all.
  void write(std::span<const std::string_view> pieces, Clock::time_point deadline);
  /// The next line without its newline. Throws EncoderError: kTimeout, kEnded, kKilled, or kProtocol when it
  /// is longer than `max_bytes`.
  std::string read_line(std::int64_t max_bytes, Clock::time_point deadline);
  /// Fills `out`. Throws EncoderError: kTimeout, kEnded, kKilled.
  void read_exactly(std::span<std::byte> out, Clock::time_point deadline);
  /// Whether it stays silent until `until`; false at once when it has said something or closed its output.
  bool is_silent(Clock::time_point until);

  /// Ends its standard input.
  void close_input();
  struct End {
    int status = 0;                ///< as of waitpid(2)
    std::int64_t left_behind = 0;  ///< processes that outlived it and had to be killed
  };
  /// Ends its input and waits for its end until the deadline, when it is killed; kills what it leaves behind.
  End end(Clock::time_point deadline);

  /// Whether it has said something that nobody has read.
  bool has_unread();

  /// The end of what it has written to standard error, as one line; empty when nothing.
  std::string last_words();

 private:
  struct Ready {
    bool input = false;
    bool output = false;
  };

  Ready wait(bool for_input, Clock::time_point deadline);
  std::size_t read_some(char* out, std::size_t size, Clock::time_point deadline);
  void drain_errors();
  [[noreturn]] void fail_ended();

  ProcessKeeper& keeper_;
  pid_t pid_ = 0;
  store::FileDescriptor input_, output_, errors_;
  std::string buffer_;  ///< read and not yet taken
  std::string tail_;    ///< of standard error
};

}  // namespace phase0::encoders
