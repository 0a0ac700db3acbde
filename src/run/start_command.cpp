#include "run/start_command.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "core/check.h"
#include "store/posix_file.h"

namespace phase0::run {
namespace {

/// Blocks every signal while it lives: a child must not run the relay's handlers before it has put back what
/// was there.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;
  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

/// The child's side of the fork. Only async-signal-safe calls: the parent may have had other threads.
[[noreturn]] void become(char* const* arguments, pid_t parent, const sigset_t& mask, const SignalRelay& relay,
                         int report) {
  relay.restore();
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(128 + SIGTERM);  // it ended before it could be asked to tell
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvp(arguments[0], arguments);
  const int error_number = errno;
  static_cast<void>(!::write(report, &error_number, sizeof error_number));
  ::_exit(127);
}

}  // namespace

StartedCommand start_command(const std::vector<std::string>& command, const SignalRelay& relay) {
  PHASE0_CHECK(!command.empty());
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) store::throw_errno("make a pipe", "");
  const store::FileDescriptor read_end(ends[0]);
  store::FileDescriptor write_end(ends[1]);
  const pid_t parent = ::getpid();
  pid_t pid = 0;
  {
    const BlockSignals blocked;
    pid = ::fork();
    if (pid == 0) become(arguments.data(), parent, blocked.before(), relay, write_end.get());
    if (pid < 0) store::throw_errno("start a process", "");
  }
  write_end.reset();
  // The pipe closes when the program starts; before that only an error goes through it.
  StartedCommand started{pid, 0};
  ssize_t size = 0;
  do {
    size = ::read(read_end.get(), &started.error_number, sizeof started.error_number);
  } while (size < 0 && errno == EINTR);
  if (started.error_number != 0) ::waitpid(pid, nullptr, 0);
  return started;
}

}  // namespace phase0::run
