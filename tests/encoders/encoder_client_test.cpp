#include "encoders/encoder_client.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "encoders/encoder_error.h"
#include "support/expect_error.h"

namespace phase0::encoders {
namespace {

using std::chrono::milliseconds;

constexpr const char* kHello =
    R"(read q; echo '{"type":"hello","protocol":1,"name":"sh","input":"text","dim":2,"dtype":"float32",)"
    R"("frame_rate_hz":1,"max_items":4,"max_item_bytes":100,"max_item_frames":2}'; )";
/// Takes one question of `abc` and answers it with the row (1, 2).
constexpr const char* kOneRow =
    R"(read q; head -c 3 >/dev/null; echo '{"type":"rows","id":1,"frames":[1],"bytes":8}'; )"
    R"(printf '\000\000\200\077\000\000\000\100'; )";
constexpr const char* kBye = "read q; exit 0";

EncoderSettings script(const std::string& text) {
  EncoderSettings settings;
  settings.command.arguments = {"/bin/sh", "-c", text};
  settings.hello_timeout = settings.encode_timeout = settings.bye_timeout = milliseconds(5000);
  return settings;
}

EncodedRows encode_abc(EncoderClient& client) {
  const std::string_view items[] = {"abc"};
  return client.encode(items);
}

Failure failure_of(const EncoderSettings& settings) {
  ProcessKeeper keeper;
  try {
    EncoderClient client(keeper, settings);
    encode_abc(client);
    client.say_bye();
  } catch (const EncoderError& error) {
    return error.failure();
  }
  ADD_FAILURE() << "nothing failed";
  return Failure::kInternal;
}

void expect_no_child() {
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

std::int64_t count_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

TEST(EncoderClient, EncodesAndSaysBye) {
  ProcessKeeper keeper;
  EncoderClient client(keeper, script(std::string(kHello) + kOneRow + kBye));
  EXPECT_EQ(client.hello().name, "sh");
  EXPECT_GT(client.hello_seconds(), 0);
  const EncodedRows rows = encode_abc(client);
  EXPECT_EQ(rows.n_rows, 1);
  ASSERT_EQ(rows.bytes.size(), 8U);
  float values[2];
  std::memcpy(values, rows.bytes.data(), sizeof values);
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], 2.0F);
  EXPECT_TRUE(client.is_silent(milliseconds(20)));
  EXPECT_EQ(client.say_bye(), 0);
  EXPECT_TRUE(keeper.all().empty());
  expect_no_child();
}

TEST(EncoderClient, EndsWithItsInput) {
  ProcessKeeper keeper;
  EncoderClient client(keeper, script(std::string(kHello) + "read q; exit 0"));
  EXPECT_EQ(client.close_input(), 0);
  expect_no_child();
}

TEST(EncoderClient, RunsInItsOwnSessionWithDefaultSignalsAndNothingElseOpen) {
  const int leaked = ::dup(0);  // not closed by exec
  ASSERT_GE(leaked, 0);
  std::signal(SIGUSR1, SIG_IGN);
  EncoderSettings settings = script(
      "exec >&2; set -- $(cat /proc/self/stat); echo session $6 of $5; ls /proc/self/fd; "
      "grep SigIgn /proc/self/status; echo $KEY $OMP_NUM_THREADS; exit 1");
  settings.command.env["KEY"] = "a value";
  settings.threads = 3;
  ProcessKeeper keeper;
  try {
    const EncoderClient client(keeper, settings);
    FAIL();
  } catch (const EncoderError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("0 1 2 3 SigIgn: 0000000000000000 a value 3"), std::string::npos) << text;
    EXPECT_EQ(text.find(" of " + std::to_string(::getpgrp()) + " "), std::string::npos) << text;
  }
  std::signal(SIGUSR1, SIG_DFL);
  ::close(leaked);
}

TEST(EncoderClient, ACommandThatCannotBeRunIsAMatterOfConfiguration) {
  ProcessKeeper keeper;
  EncoderSettings settings;
  for (const char* program : {"there-is-no-such-command", "/"}) {
    settings.command.arguments = {program};
    test::expect_error(ErrorKind::kConfig, std::string(program) + ": cannot be run",
                       [&] { EncoderClient(keeper, settings); });
  }
  expect_no_child();
}

TEST(EncoderClient, StopsWaitingWhenAsked) {
  bool stop = false;
  ProcessKeeper keeper([&stop] { return stop; });
  EncoderClient client(keeper, script(std::string(kHello) + "sleep 60"));
  stop = true;
  test::expect_error(ErrorKind::kInterrupted, "interrupted", [&] { encode_abc(client); });
}

struct Misbehaviour {
  const char* what;
  std::string script;
  Failure failure;
};

const std::vector<Misbehaviour>& misbehaviours() {
  const std::string hello = kHello;
  const std::string ask = hello + "read q; head -c 3 >/dev/null; ";
  static const std::vector<Misbehaviour> all = {
      {"no hello", "sleep 60", Failure::kTimeout},
      {"ends at once", "exit 3", Failure::kEnded},
      {"garbage", "read q; echo garbage", Failure::kProtocol},
      {"flood", "exec yes", Failure::kProtocol},
      {"flood without a line", "read q; exec cat /dev/zero", Failure::kProtocol},
      {"flood of errors", "yes >&2", Failure::kTimeout},
      {"speaks unasked", hello + "echo more; sleep 60", Failure::kProtocol},
      {"hangs", ask + "sleep 60", Failure::kTimeout},
      {"does not read", hello + "sleep 60", Failure::kTimeout},
      {"closes its output", ask + "exec >&-; sleep 60", Failure::kEnded},
      {"crashes", ask + "kill -SEGV $$", Failure::kEnded},
      {"is killed", ask + "kill -KILL $$", Failure::kKilled},
      {"dies with a fork at its pipes", ask + "sleep 60 & kill -SEGV $$", Failure::kEnded},
      {"dies with a daemon", ask + "setsid sleep 60 & setsid setsid sleep 60 & kill -SEGV $$",
       Failure::kEnded},
      {"two rows for one item", ask + R"(echo '{"type":"rows","id":1,"frames":[1,1],"bytes":16}')",
       Failure::kRows},
      {"rows cut short",
       ask + R"(echo '{"type":"rows","id":1,"frames":[1],"bytes":8}'; printf 1234; sleep 60)",
       Failure::kTimeout},
      {"rows and an end", ask + R"(echo '{"type":"rows","id":1,"frames":[1],"bytes":8}'; printf 1234)",
       Failure::kEnded},
      {"NaN",
       ask +
           R"(echo '{"type":"rows","id":1,"frames":[1],"bytes":8}'; printf '\377\377\377\377\000\000\000\000')",
       Failure::kRows},
      {"ignores bye", hello + kOneRow + "read q; trap '' TERM; sleep 60", Failure::kTimeout},
      {"ends with a code", hello + kOneRow + "read q; exit 3", Failure::kEnded},
      {"answers bye", hello + kOneRow + "read q; echo bye", Failure::kProtocol},
  };
  return all;
}

TEST(EncoderClient, TellsHowAnEncoderFails) {
  for (const Misbehaviour& misbehaviour : misbehaviours()) {
    EncoderSettings settings = script(misbehaviour.script);
    if (misbehaviour.failure == Failure::kTimeout)
      settings.hello_timeout = settings.encode_timeout = settings.bye_timeout = milliseconds(300);
    EXPECT_STREQ(to_string(failure_of(settings)), to_string(misbehaviour.failure)) << misbehaviour.what;
    expect_no_child();
  }
}

TEST(EncoderClient, TwoHundredFailuresLeaveNoProcessAndNoDescriptor) {
  const std::int64_t before = count_descriptors();
  for (int i = 0; i < 200; ++i) {
    const auto& all = misbehaviours();
    const Misbehaviour& misbehaviour = all[static_cast<std::size_t>(i) % all.size()];
    EncoderSettings settings = script(misbehaviour.script);
    if (misbehaviour.failure == Failure::kTimeout)
      settings.hello_timeout = settings.encode_timeout = settings.bye_timeout = milliseconds(50);
    failure_of(settings);
    ASSERT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << misbehaviour.what;
    ASSERT_EQ(count_descriptors(), before) << misbehaviour.what;
  }
}

TEST(ProcessKeeper, LeavesTheProcessAsItWasAndOthersAlone) {
  const pid_t other = ::fork();
  if (other == 0) {
    ::setsid();
    for (;;) ::pause();
  }
  struct sigaction before {};
  sigaction(SIGPIPE, nullptr, &before);
  {
    ProcessKeeper keeper;
    EncoderClient client(keeper, script(std::string(kHello) + "sleep 60"));
  }
  struct sigaction after {};
  sigaction(SIGPIPE, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  int reaper = 1;
  ::prctl(PR_GET_CHILD_SUBREAPER, &reaper);
  EXPECT_EQ(reaper, 0);
  EXPECT_EQ(::waitpid(other, nullptr, WNOHANG), 0);  // lives
  ::kill(other, SIGKILL);
  EXPECT_EQ(::waitpid(other, nullptr, 0), other);
}

TEST(ProcessKeeper, TreesThatForkAllTheTimeAreKilled) {
  ProcessKeeper keeper;
  {
    EncoderSettings settings =
        script(std::string(kHello) + "while :; do setsid sh -c 'sleep 0.01' & sleep 0.005; done");
    settings.encode_timeout = milliseconds(300);
    EncoderClient client(keeper, settings);
    test::expect_error(ErrorKind::kData, "no answer in time", [&] { encode_abc(client); });
  }
  EXPECT_TRUE(keeper.all().empty());
}

}  // namespace
}  // namespace phase0::encoders
