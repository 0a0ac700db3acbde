#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <stdexcept>

namespace phase0::test {

/// A forked process that runs `body` and then waits to be killed, which happens at the latest when this goes.
/// `body` may call `say` for values that `hear` then gets.
class ChildProcess {
 public:
  explicit ChildProcess(const std::function<void(ChildProcess&)>& body) {
    if (::pipe2(pipe_, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    pid_ = ::fork();
    if (pid_ != 0) return;
    body(*this);
    for (;;) ::pause();
  }
  ~ChildProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(pipe_[0]);
    ::close(pipe_[1]);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void say(int value) const {
    if (::write(pipe_[1], &value, sizeof value) != sizeof value) ::_exit(1);
  }
  int hear() const {
    int value = 0;
    pollfd readable{pipe_[0], POLLIN, 0};
    if (::poll(&readable, 1, 20'000) != 1 || ::read(pipe_[0], &value, sizeof value) != sizeof value)
      throw std::runtime_error("the child says nothing");
    return value;
  }

 private:
  int pipe_[2] = {-1, -1};
  pid_t pid_ = 0;
};

}  // namespace phase0::test
