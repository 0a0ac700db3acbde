#include "encoders/conformance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/clock.h"
#include "encoders/encoder_error.h"
#include "encoders/finite_rows.h"
#include "encoders/sample_items.h"

namespace phase0::encoders {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSilence{300};
constexpr std::int64_t kBatch = 8;

/// A check's end other than passed; the detail is its text.
struct NotPassed {
  CheckOutcome outcome;
  std::string detail;
};
[[noreturn]] void fail_check(const std::string& detail) {
  throw NotPassed{CheckOutcome::kFailed, detail};
}
[[noreturn]] void skip(const std::string& detail) {
  throw NotPassed{CheckOutcome::kSkipped, detail};
}

std::string count_of(std::int64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

class Checker {
 public:
  Checker(ProcessKeeper& keeper, const EncoderSettings& settings,
          const std::function<void(const CheckResult&)>& tell)
      : keeper_(keeper), settings_(settings), tell_(tell) {}

  void run();

 private:
  using Body = std::function<std::string()>;

  void check(const std::string& name, const Body& body);
  CheckResult result_of(const std::string& name, const Body& body);
  void ensure_started();
  EncodedRows encode(const std::vector<std::string>& items);
  double difference(const EncodedRows& a, const EncodedRows& b) const;

  std::string starts();
  std::string encodes_one();
  std::string repeats();
  std::string encodes_batch();
  std::string batch_agrees();
  std::string takes_odd_items();
  std::string refuses_bad_item();
  std::string bad_item_among_good();
  std::string takes_largest_batch();
  std::string stays_silent();
  std::string ends_on_bye();
  std::string ends_with_input();

  ProcessKeeper& keeper_;
  const EncoderSettings& settings_;
  const std::function<void(const CheckResult&)>& tell_;
  std::optional<EncoderClient> client_;
  std::optional<SampleItems> samples_;
  bool has_started_ = false;  ///< at least once
};

void Checker::run() {
  check("says hello", [this] { return starts(); });
  check("encodes one item", [this] { return encodes_one(); });
  check("same item, same rows", [this] { return repeats(); });
  check("encodes a batch", [this] { return encodes_batch(); });
  check("batch equals items one by one", [this] { return batch_agrees(); });
  check("takes odd items", [this] { return takes_odd_items(); });
  check("refuses a bad item", [this] { return refuses_bad_item(); });
  check("names the bad item of a batch", [this] { return bad_item_among_good(); });
  check("takes its largest batch or says oom", [this] { return takes_largest_batch(); });
  check("says nothing unasked", [this] { return stays_silent(); });
  check("ends when told bye", [this] { return ends_on_bye(); });
  check("ends with its input", [this] { return ends_with_input(); });
  client_.reset();
  check("leaves no process behind", [this]() -> std::string {
    const auto left = keeper_.all();
    if (!left.empty()) fail_check(core::command_text(left.front().id.pid));
    return "";
  });
}

void Checker::check(const std::string& name, const Body& body) {
  keeper_.check_stop();
  tell_(result_of(name, body));
}

CheckResult Checker::result_of(const std::string& name, const Body& body) {
  try {
    return {name, CheckOutcome::kPassed, body()};
  } catch (const NotPassed& result) {
    return {name, result.outcome, result.detail};
  } catch (const EncoderError& error) {
    if (!error.is_usable()) client_.reset();
    return {name, CheckOutcome::kFailed, error.message()};
  }
}

void Checker::ensure_started() {
  if (client_) return;
  if (!has_started_) skip("it does not start");
  client_.emplace(keeper_, settings_);
}

std::string Checker::starts() {
  client_.emplace(keeper_, settings_);
  has_started_ = true;
  const Hello& hello = client_->hello();
  samples_.emplace(hello);
  return fmt::format("{}: {} to {} x {}, {} Hz, at most {} of {} bytes and {}, ready in {:.2f} s", hello.name,
                     to_string(hello.input), hello.dim, store::to_string(hello.dtype), hello.frame_rate_hz,
                     count_of(hello.max_items, "item"), hello.max_item_bytes,
                     count_of(hello.max_item_frames, "frame"), client_->hello_seconds());
}

EncodedRows Checker::encode(const std::vector<std::string>& items) {
  ensure_started();
  const std::vector<std::string_view> views(items.begin(), items.end());
  return client_->encode(views);
}

std::string Checker::encodes_one() {
  ensure_started();
  const EncodedRows rows = encode(samples_->plain(1));
  if (rows.n_rows == 0) fail_check("no frames for " + samples_->plain(1).front());
  return count_of(rows.n_rows, "frame");
}

std::string Checker::repeats() {
  ensure_started();
  const EncodedRows first = encode(samples_->plain(1));
  const EncodedRows second = encode(samples_->plain(1));
  if (first.bytes != second.bytes)
    fail_check(fmt::format("they differ by {:.2g}", difference(first, second)));
  return "";
}

std::string Checker::encodes_batch() {
  ensure_started();
  const std::int64_t count = std::min(kBatch, client_->hello().max_items);
  const double begin = core::now_seconds();
  const EncodedRows rows = encode(samples_->plain(count));
  return fmt::format("{} in {:.3f} s", count_of(count, "item"), core::now_seconds() - begin);
}

std::string Checker::batch_agrees() {
  ensure_started();
  const std::int64_t count = std::min(kBatch, client_->hello().max_items);
  const EncodedRows batch = encode(samples_->plain(count));
  EncodedRows singles;
  for (const std::string& item : samples_->plain(count)) {
    EncodedRows rows = encode({item});
    singles.frames.push_back(rows.n_rows);
    singles.n_rows += rows.n_rows;
    singles.bytes.insert(singles.bytes.end(), rows.bytes.begin(), rows.bytes.end());
  }
  if (batch.frames != singles.frames) fail_check("the items make other numbers of frames");
  const double allowed = client_->hello().dtype == store::ElementType::kFloat16 ? 1e-2 : 1e-3;
  const double found = difference(batch, singles);
  if (found > allowed) fail_check(fmt::format("they differ by {:.2g} of the largest value", found));
  return fmt::format("they differ by {:.2g} of the largest value", found);
}

/// Largest difference between values, by the largest magnitude. Infinite for different numbers of rows.
double Checker::difference(const EncodedRows& a, const EncodedRows& b) const {
  if (a.bytes.size() != b.bytes.size()) return INFINITY;
  const store::ElementType type = client_->hello().dtype;
  const auto count = a.bytes.size() / static_cast<std::size_t>(store::element_size(type));
  double largest = 0;
  double apart = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = value_at(a.bytes, type, i);
    largest = std::max(largest, std::abs(value));
    apart = std::max(apart, std::abs(value - value_at(b.bytes, type, i)));
  }
  return apart == 0 ? 0 : apart / largest;
}

std::string Checker::takes_odd_items() {
  ensure_started();
  std::int64_t refused = 0;
  for (const auto& [what, item] : samples_->odd()) {
    try {
      encode({item});
    } catch (const EncoderError& error) {
      if (!error.is_usable())
        throw EncoderError(error.failure(), what + ": " + error.message(), error.item());
      ++refused;
    }
    try {
      encode(samples_->plain(1));
    } catch (const EncoderError& error) {
      throw EncoderError(error.failure(), "after " + what + ": " + error.message(), error.item());
    }
  }
  return fmt::format("{}, {} refused", count_of(std::ssize(samples_->odd()), "item"), refused);
}

std::string Checker::refuses_bad_item() {
  ensure_started();
  const char* what = client_->hello().input == ItemKind::kText ? "bytes that are no UTF-8" : "a missing file";
  try {
    encode({samples_->bad()});
  } catch (const EncoderError& error) {
    if (error.failure() != Failure::kInput) throw;
    encode(samples_->plain(1));
    return error.message();
  }
  fail_check(fmt::format("it encodes {}", what));
}

std::string Checker::bad_item_among_good() {
  ensure_started();
  if (client_->hello().max_items < 3) skip("it takes no three items");
  std::vector<std::string> items = samples_->plain(3);
  items[1] = samples_->bad();
  try {
    encode(items);
  } catch (const EncoderError& error) {
    if (error.failure() != Failure::kInput) throw;
    if (error.item() != 1) fail_check(fmt::format("it blames item {}, and item 1 is bad", error.item()));
    return "";
  }
  fail_check("it encodes the batch");
}

std::string Checker::takes_largest_batch() {
  ensure_started();
  const std::int64_t count = client_->hello().max_items;
  const double begin = core::now_seconds();
  std::string found;
  try {
    encode(samples_->large(count));
    found = fmt::format("{} in {:.2f} s", count_of(count, "item"), core::now_seconds() - begin);
  } catch (const EncoderError& error) {
    if (error.failure() != Failure::kOutOfMemory) throw;
    found = "oom";
  }
  encode(samples_->plain(1));
  return found;
}

std::string Checker::stays_silent() {
  ensure_started();
  if (!client_->is_silent(kSilence)) {
    client_.reset();
    fail_check("it says something or closes its output");
  }
  return "";
}

std::string Checker::ends_on_bye() {
  ensure_started();
  const double begin = core::now_seconds();
  const std::int64_t left = client_->say_bye();
  client_.reset();
  if (left > 0)
    fail_check(
        fmt::format("it leaves {} behind", left == 1 ? "a process" : fmt::format("{} processes", left)));
  return fmt::format("after {:.2f} s", core::now_seconds() - begin);
}

std::string Checker::ends_with_input() {
  ensure_started();
  const std::int64_t left = client_->close_input();
  client_.reset();
  if (left > 0)
    fail_check(
        fmt::format("it leaves {} behind", left == 1 ? "a process" : fmt::format("{} processes", left)));
  return "";
}

}  // namespace

void check_encoder(ProcessKeeper& keeper, const EncoderSettings& settings,
                   const std::function<void(const CheckResult&)>& tell) {
  Checker(keeper, settings, tell).run();
}

}  // namespace phase0::encoders
