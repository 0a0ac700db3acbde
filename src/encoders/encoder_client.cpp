#include "encoders/encoder_client.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "encoders/encoder_error.h"
#include "encoders/finite_rows.h"

namespace phase0::encoders {

/// Runs `talk` and adds what the encoder last said on standard error to what went wrong.
template <typename Talk>
auto EncoderClient::explained(const Talk& talk) {
  try {
    return talk();
  } catch (const EncoderError& error) {
    const std::string words = error.is_usable() ? "" : child_.last_words();
    if (words.empty()) throw;
    throw EncoderError(error.failure(), error.message() + "; its last words: " + words, error.item());
  }
}

namespace {

/// Libraries start as many threads as there are processors unless they are told.
ChildCommand with_threads(ChildCommand command, int threads) {
  for (const char* variable : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"})
    command.env.emplace(variable, std::to_string(threads));
  return command;
}

}  // namespace

EncoderClient::EncoderClient(ProcessKeeper& keeper, const EncoderSettings& settings)
    : settings_(settings),
      hello_seconds_(core::now_seconds()),
      child_(keeper, with_threads(settings_.command, settings_.threads)) {
  hello_ = explained([this] { return read_hello(); });
  hello_seconds_ = core::now_seconds() - hello_seconds_;
}

Hello EncoderClient::read_hello() {
  const auto deadline = Clock::now() + settings_.hello_timeout;
  const std::string line = hello_line(settings_.device, settings_.threads);
  const std::string_view pieces[] = {line};
  child_.write(pieces, deadline);
  Hello hello = parse_hello(child_.read_line(kMaxLineBytes, deadline));
  if (settings_.expected && hello != *settings_.expected)
    throw EncoderError(Failure::kProtocol, "breaks the protocol: its hello is not the one of another start");
  return hello;
}

EncodedRows EncoderClient::encode(std::span<const std::string_view> items) {
  PHASE0_CHECK(!items.empty() && std::ssize(items) <= hello_.max_items);
  const std::string line = encode_line(next_id_, items);
  std::vector<std::string_view> pieces{line};
  for (const std::string_view item : items) {
    PHASE0_CHECK(std::ssize(item) <= hello_.max_item_bytes);
    pieces.push_back(item);
  }
  return explained([&] {
    const auto deadline = Clock::now() + settings_.encode_timeout;
    child_.write(pieces, deadline);
    return read_rows(std::ssize(items), deadline);
  });
}

EncodedRows EncoderClient::read_rows(std::int64_t n_items, Clock::time_point deadline) {
  const std::string line = child_.read_line(kMaxLineBytes, deadline);
  RowsHeader header = parse_rows(line, hello_, {next_id_++, n_items});
  if (header.n_bytes > settings_.max_reply_bytes) {
    throw EncoderError(Failure::kTooLarge, fmt::format("wants to answer with {} bytes, {} are allowed",
                                                       header.n_bytes, settings_.max_reply_bytes));
  }
  EncodedRows rows{std::move(header.frames), header.n_rows,
                   std::vector<std::byte>(static_cast<std::size_t>(header.n_bytes))};
  child_.read_exactly(rows.bytes, deadline);
  if (const auto index = first_unusable(rows.bytes, hello_.dtype)) {
    const auto dim = static_cast<std::size_t>(hello_.dim);
    throw EncoderError(Failure::kRows, fmt::format("row {}, value {} of the answer is {}", *index / dim,
                                                   *index % dim, value_at(rows.bytes, hello_.dtype, *index)));
  }
  return rows;
}

std::int64_t EncoderClient::say_bye() {
  return explained([this] {
    const std::string line = bye_line();
    const std::string_view pieces[] = {line};
    child_.write(pieces, Clock::now() + settings_.bye_timeout);
    return await_end();
  });
}

std::int64_t EncoderClient::close_input() {
  return explained([this] { return await_end(); });
}

std::int64_t EncoderClient::await_end() {
  const auto deadline = Clock::now() + settings_.bye_timeout;
  const auto [status, left_behind] = child_.end(deadline);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    throw EncoderError(Failure::kTimeout, "does not end when told to");
  if (child_.has_unread()) throw EncoderError(Failure::kProtocol, "breaks the protocol: it answers bye");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw EncoderError(Failure::kEnded, WIFEXITED(status)
                                            ? fmt::format("ends with code {}", WEXITSTATUS(status))
                                            : fmt::format("is ended by signal {}", WTERMSIG(status)));
  }
  return left_behind;
}

}  // namespace phase0::encoders
