#include "encoders/child_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "encoders/encoder_error.h"
#include "encoders/spawn.h"

namespace phase0::encoders {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = 65'536;
constexpr std::size_t kTailBytes = 2'048;
constexpr int kLookMilliseconds = 200;
constexpr milliseconds kEndPatience{200};  // between closed pipes and the process's end
constexpr milliseconds kEndRound{2};

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

std::string describe_end(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with code {}", WEXITSTATUS(status));
  const char* name = ::sigabbrev_np(WTERMSIG(status));
  return fmt::format("was ended by signal {} (SIG{})", WTERMSIG(status), name == nullptr ? "?" : name);
}

}  // namespace

ChildProcess::ChildProcess(ProcessKeeper& keeper, const ChildCommand& command) : keeper_(keeper) {
  SpawnedChild child = spawn(keeper, command);
  pid_ = child.pid;
  input_ = std::move(child.pipes.input);
  output_ = std::move(child.pipes.output);
  errors_ = std::move(child.pipes.errors);
}

ChildProcess::~ChildProcess() {
  if (pid_ == 0) return;
  try {
    keeper_.end(pid_);
  } catch (const std::exception&) {  // too little memory too: the keeper tries once more when it goes
  }
}

/// Until the output can be read or, if wanted, the input be written.
ChildProcess::Ready ChildProcess::wait(bool for_input, Clock::time_point deadline) {
  for (;;) {
    keeper_.check_stop();
    pollfd files[] = {
        {for_input ? input_.get() : -1, POLLOUT, 0}, {output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}};
    // A fork of it that holds the pipes hides its end: looked for now and then, before the pipes are.
    const bool ended = keeper_.status(pid_).has_value();
    const int patience = ended ? 0 : std::min(kLookMilliseconds, milliseconds_until(deadline));
    const int n_ready = ::poll(files, std::size(files), patience);
    if (n_ready < 0 && errno != EINTR) store::throw_errno("wait for an encoder", "");
    if (n_ready == 0 && ended) fail_ended();
    if (n_ready > 0 && files[2].revents != 0) drain_errors();
    if (n_ready > 0 && (files[0].revents != 0 || files[1].revents != 0))
      return {files[0].revents != 0, files[1].revents != 0};
    if (Clock::now() >= deadline) return {};
  }
}

void ChildProcess::write(std::span<const std::string_view> pieces, Clock::time_point deadline) {
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const Ready ready = wait(true, deadline);
      if (ready.output || !buffer_.empty()) {
        char byte = 0;
        if (buffer_.empty() && read_some(&byte, 1, deadline) == 0) fail_ended();
        throw EncoderError(Failure::kProtocol, "breaks the protocol: it says something before it was asked");
      }
      if (!ready.input) throw EncoderError(Failure::kTimeout, "does not read its input in time");
      const ssize_t size = ::write(input_.get(), piece.data(), piece.size());
      if (size >= 0) {
        piece.remove_prefix(static_cast<std::size_t>(size));
      } else if (errno == EPIPE) {
        fail_ended();
      } else if (errno != EAGAIN && errno != EINTR) {
        store::throw_errno("write to an encoder", "");
      }
    }
  }
}

/// 0 at the end of its output.
std::size_t ChildProcess::read_some(char* out, std::size_t size, Clock::time_point deadline) {
  for (;;) {
    const ssize_t n = ::read(output_.get(), out, size);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN && errno != EINTR) store::throw_errno("read from an encoder", "");
    if (!wait(false, deadline).output) throw EncoderError(Failure::kTimeout, "gave no answer in time");
  }
}

std::string ChildProcess::read_line(std::int64_t max_bytes, Clock::time_point deadline) {
  std::size_t searched = 0;
  for (;;) {
    const auto end = buffer_.find('\n', searched);
    if (end != std::string::npos && static_cast<std::int64_t>(end) < max_bytes) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (static_cast<std::int64_t>(buffer_.size()) >= max_bytes)
      throw EncoderError(Failure::kProtocol,
                         fmt::format("breaks the protocol: a line of more than {} bytes", max_bytes));
    searched = buffer_.size();
    buffer_.resize(searched + kReadBytes);
    std::size_t size = 0;
    try {
      size = read_some(buffer_.data() + searched, kReadBytes, deadline);
    } catch (...) {
      buffer_.resize(searched);
      throw;
    }
    buffer_.resize(searched + size);
    if (size == 0) fail_ended();
    // What comes in small pieces without an end must not go on for ever.
    if (Clock::now() >= deadline) throw EncoderError(Failure::kTimeout, "gave no answer in time");
  }
}

void ChildProcess::read_exactly(std::span<std::byte> out, Clock::time_point deadline) {
  const std::size_t buffered = std::min(out.size(), buffer_.size());
  std::copy_n(buffer_.data(), buffered, reinterpret_cast<char*>(out.data()));
  buffer_.erase(0, buffered);
  for (std::size_t done = buffered; done < out.size();) {
    const std::size_t size =
        read_some(reinterpret_cast<char*>(out.data()) + done, out.size() - done, deadline);
    if (size == 0) fail_ended();
    done += size;
    if (done < out.size() && Clock::now() >= deadline)
      throw EncoderError(Failure::kTimeout, "gave no answer in time");
  }
}

bool ChildProcess::is_silent(Clock::time_point until) {
  try {
    return buffer_.empty() && !wait(false, until).output;
  } catch (const EncoderError&) {
    return false;
  }
}

void ChildProcess::close_input() {
  input_.reset();
}

ChildProcess::End ChildProcess::end(Clock::time_point deadline) {
  close_input();
  while (!keeper_.status(pid_) && Clock::now() < deadline) {
    drain_errors();
    std::this_thread::sleep_for(kEndRound);
  }
  // Helpers that end when their parent has need a moment for it.
  const auto patience = Clock::now() + kEndPatience;
  End end;
  while ((end.left_behind = keeper_.count_below(pid_)) > 0 && Clock::now() < patience)
    std::this_thread::sleep_for(10 * kEndRound);
  end.status = keeper_.end(std::exchange(pid_, 0));
  return end;
}

bool ChildProcess::has_unread() {
  char byte = 0;
  return !buffer_.empty() || ::read(output_.get(), &byte, 1) > 0;
}

/// One read: a flood of errors must not keep the answers waiting.
void ChildProcess::drain_errors() {
  if (!errors_) return;
  char bytes[4096];
  const ssize_t size = ::read(errors_.get(), bytes, sizeof bytes);
  if (size < 0) return;
  if (size == 0) return errors_.reset();
  tail_.append(bytes, static_cast<std::size_t>(size));
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string ChildProcess::last_words() {
  drain_errors();
  std::string words;
  for (const char c : tail_) {
    const bool is_gap = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!is_gap) {
      words += c;
    } else if (!words.empty() && words.back() != ' ') {
      words += ' ';
    }
  }
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return words;
}

void ChildProcess::fail_ended() {
  const auto deadline = Clock::now() + kEndPatience;
  std::optional<int> status;
  while (!(status = keeper_.status(pid_)) && Clock::now() < deadline) std::this_thread::sleep_for(kEndRound);
  for (int i = 0; i < 16; ++i) drain_errors();
  if (!status) throw EncoderError(Failure::kEnded, "closed its output");
  const bool killed = WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
  throw EncoderError(killed ? Failure::kKilled : Failure::kEnded, describe_end(*status));
}

}  // namespace phase0::encoders
