#include "encoders/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <thread>

#include "core/check.h"
#include "encoders/warden.h"

extern char** environ;

namespace phase0::encoders {
namespace {

using store::FileDescriptor;

constexpr int kFirstFree = 3;

struct Pipe {
  FileDescriptor read_end, write_end;
};

/// A descriptor of the same file above the standard ones: those are moved onto in the child.
FileDescriptor moved_up(int descriptor) {
  FileDescriptor from(descriptor);
  if (descriptor >= kFirstFree) return from;
  FileDescriptor to(::fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstFree));
  if (!to) store::throw_errno("make a pipe", "");
  return to;
}

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) store::throw_errno("make a pipe", "");
  FileDescriptor second(ends[1]);
  FileDescriptor first = moved_up(ends[0]);
  return {std::move(first), moved_up(second.release())};
}

void make_nonblocking(const FileDescriptor& descriptor) {
  const int flags = ::fcntl(descriptor.get(), F_GETFL);
  if (flags < 0 || ::fcntl(descriptor.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    store::throw_errno("set up a pipe", "");
}

/// `NAME=value` of this process, with those of the command in place of or after them.
std::vector<std::string> environment_of(const ChildCommand& command) {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string text(*variable);
    if (!command.env.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : command.env) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Why there is no encoder: errno (0 when there is one), of the fork or of the exec.
struct Refusal {
  int error_number = 0;
  bool of_fork = false;
};

void report(int descriptor, const Refusal& refusal) {
  static_cast<void>(!::write(descriptor, &refusal, sizeof refusal));
}

/// What the child needs after the fork, when it must not allocate any more.
struct ChildSide {
  char* const* arguments;
  char* const* environment;
  int input, output, errors;
  int report;  ///< takes a Refusal when the program cannot be run
  pid_t parent;
};

void default_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Other libraries' descriptors are not all closed by exec: HDF5's are not. -1 is none.
void close_all_but(int report) {
  const auto closed = [](unsigned first, unsigned last) {
    return first > last || ::syscall(SYS_close_range, first, last, 0) == 0;
  };
  const auto kept = static_cast<unsigned>(report < 0 ? kFirstFree - 1 : report);
  if (closed(kFirstFree, kept - 1) && closed(kept + 1, UINT_MAX)) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
  for (int descriptor = kFirstFree; descriptor < end; ++descriptor) {
    if (descriptor != report) ::close(descriptor);
  }
}

/// Has this process killed when its parent ends.
void end_with_parent(pid_t parent, int signal) {
  ::prctl(PR_SET_PDEATHSIG, signal);
  if (::getppid() != parent) ::_exit(127);  // it ended before it could be asked to tell
}

[[noreturn]] void become_encoder(const ChildSide& child, pid_t warden) {
  ::setsid();
  default_signals();
  end_with_parent(warden, SIGKILL);
  ::dup2(child.input, STDIN_FILENO);
  ::dup2(child.output, STDOUT_FILENO);
  ::dup2(child.errors, STDERR_FILENO);
  close_all_but(child.report);
  ::execvpe(child.arguments[0], child.arguments, child.environment);
  report(child.report, {errno, false});
  ::_exit(127);
}

/// Only async-signal-safe calls: the parent has other threads.
[[noreturn]] void become_warden(const ChildSide& child) {
  constexpr int kParentGone = SIGTERM;
  ::setsid();
  ::signal(SIGCHLD, SIG_DFL);  // ignored, the end of a child could not be waited for
  ::prctl(PR_SET_NAME, "phase0-warden");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  end_with_parent(child.parent, kParentGone);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const pid_t self = ::getpid();
  const pid_t encoder = ::_Fork();
  if (encoder == 0) become_encoder(child, self);
  if (encoder < 0) {
    report(child.report, {errno, true});
    ::_exit(127);
  }
  // The pipes are the encoder's: their ends tell of its end.
  for (int descriptor = 0; descriptor < kFirstFree; ++descriptor) ::close(descriptor);
  close_all_but(-1);
  guard(encoder, kParentGone);
}

/// Blocks every signal while it lives: the child must not run this program's handlers.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

/// The pipe closes without a word when the program runs.
Refusal read_report(const FileDescriptor& report) {
  Refusal refusal;
  store::uninterrupted([&] { return ::read(report.get(), &refusal, sizeof refusal); });
  return refusal;
}

/// `pid` is that of the warden, with an encoder when nothing was refused.
Refusal start(ProcessKeeper& keeper, ChildSide side, pid_t& pid) {
  Pipe report = make_pipe();
  side.report = report.write_end.get();
  pid = keeper.start([&side] {
    const SignalsBlocked blocked;
    const pid_t child = ::fork();
    if (child == 0) become_warden(side);
    return child;
  });
  if (pid < 0) return {errno, true};
  report.write_end.reset();
  const Refusal refusal = read_report(report.read_end);
  if (refusal.error_number != 0) keeper.end(pid);
  return refusal;
}

/// Gives the warden's process. A limit of processes that is reached is mostly over soon.
pid_t start_patiently(ProcessKeeper& keeper, const ChildSide& side) {
  using namespace std::chrono_literals;
  for (auto wait = 10ms;; wait *= 2) {
    pid_t pid = 0;
    const Refusal refusal = start(keeper, side, pid);
    if (refusal.error_number == 0) return pid;
    if (!refusal.of_fork) {
      throw Error(ErrorKind::kConfig, std::string("cannot be run: ") + std::strerror(refusal.error_number),
                  {.path = side.arguments[0]});
    }
    if (refusal.error_number != EAGAIN || wait > 1s)
      store::throw_errno("start a process", "", refusal.error_number);
    keeper.check_stop();
    std::this_thread::sleep_for(wait);
  }
}

}  // namespace

SpawnedChild spawn(ProcessKeeper& keeper, const ChildCommand& command) {
  PHASE0_CHECK(!command.arguments.empty());
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  Pipe errors = make_pipe();
  const std::vector<std::string> variables = environment_of(command);
  const std::vector<char*> arguments = pointers_to(command.arguments);
  const std::vector<char*> environment = pointers_to(variables);
  const pid_t pid = start_patiently(keeper, {arguments.data(), environment.data(), input.read_end.get(),
                                             output.write_end.get(), errors.write_end.get(), -1, ::getpid()});
  SpawnedChild child{pid,
                     {std::move(input.write_end), std::move(output.read_end), std::move(errors.read_end)}};
  make_nonblocking(child.pipes.input);
  make_nonblocking(child.pipes.output);
  make_nonblocking(child.pipes.errors);
  return child;
}

}  // namespace phase0::encoders
