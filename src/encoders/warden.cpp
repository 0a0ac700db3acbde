#include "encoders/warden.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace phase0::encoders {
namespace {

/// Sends SIGKILL to every child. False where the kernel does not list them.
bool kill_listed_children() {
  const int list = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (list < 0) return false;
  char text[4096];
  pid_t pid = 0;
  for (ssize_t size = 0; (size = ::read(list, text, sizeof text)) > 0;) {
    for (ssize_t i = 0; i < size; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = 10 * pid + (text[i] - '0');
      } else if (pid > 0) {
        ::kill(pid, SIGKILL);
        pid = 0;
      }
    }
  }
  ::close(list);
  return true;
}

/// A child that goes leaves its own children to this process: until there are none.
[[noreturn]] void end_everything(pid_t encoder) {
  for (;;) {
    if (!kill_listed_children()) {
      ::kill(encoder, SIGKILL);
      ::kill(-encoder, SIGKILL);
    }
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) ::_exit(0);
  }
}

[[noreturn]] void end_as(int status) {
  if (WIFEXITED(status)) ::_exit(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  ::signal(number, SIG_DFL);
  sigset_t all_but_it;
  sigfillset(&all_but_it);
  sigdelset(&all_but_it, number);
  ::kill(::getpid(), number);
  ::sigprocmask(SIG_SETMASK, &all_but_it, nullptr);
  ::_exit(128 + number);
}

}  // namespace

void guard(pid_t encoder, int parent_gone) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, parent_gone);
  for (;;) {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == encoder) end_as(status);
    }
    siginfo_t signal{};
    if (::sigwaitinfo(&awaited, &signal) == parent_gone) end_everything(encoder);
  }
}

}  // namespace phase0::encoders
