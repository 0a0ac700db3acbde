#include "data/splits.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>

#include "core/check.h"
#include "core/random.h"
#include "core/text.h"
#include "store/atomic_file.h"

namespace phase0::data {
namespace {

using Names = std::vector<std::string>;
constexpr std::int64_t kMaxListBytes = std::int64_t{64} << 20;
constexpr std::size_t kMaxLineBytes = 4096;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Names read_list(const std::string& path) {
  std::string contents = store::read_file(path, kMaxListBytes);
  if (contents.starts_with(kByteOrderMark)) contents.erase(0, kByteOrderMark.size());
  std::istringstream text(std::move(contents));
  std::set<std::string> names;
  std::string line;
  for (std::int64_t number = 1; std::getline(text, line); ++number) {
    const bool text_only = line.find('\0') == std::string::npos && core::is_valid_utf8(line);
    if (line.size() > kMaxLineBytes || !text_only) {
      throw Error(ErrorKind::kConfig,
                  fmt::format("expected a speaker name in UTF-8 of at most {} bytes", kMaxLineBytes),
                  {.path = path, .line = number});
    }
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    names.insert(line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1));
  }
  if (names.empty()) throw Error(ErrorKind::kConfig, "the speaker list is empty", {path});
  return {names.begin(), names.end()};
}

/// Sets `split` for the listed speakers that the input has.
void take_listed(const std::string& path, Split which, const Names& known, std::vector<Split>& split,
                 Observer& observer) {
  std::int64_t unknown = 0;
  std::string example;
  for (const std::string& name : read_list(path)) {
    const auto found = std::lower_bound(known.begin(), known.end(), name);
    if (found == known.end() || *found != name) {
      if (unknown++ == 0) example = name;
      continue;
    }
    Split& of_speaker = split[static_cast<std::size_t>(found - known.begin())];
    if (of_speaker != Split::kNone && of_speaker != which) {
      throw Error(ErrorKind::kConfig,
                  fmt::format("speaker {} is in both the train and the eval set", core::clipped(name)),
                  {path});
    }
    of_speaker = which;
  }
  if (unknown > 0) {
    observer.log(LogLevel::kWarning, fmt::format("{}: {} speaker(s) are not in the input, the first is {}",
                                                 path, unknown, core::clipped(example)));
  }
}

std::vector<Split> speaker_splits(const Options& options, const Names& names, Observer& observer) {
  std::vector<Split> split(names.size(), Split::kNone);
  const SplitOptions& wanted = options.splits;
  if (!wanted.train_speakers_file.empty()) {
    take_listed(wanted.train_speakers_file, Split::kTrain, names, split, observer);
    take_listed(wanted.eval_speakers_file, Split::kEval, names, split, observer);
    return split;
  }
  const std::int64_t n_train = wanted.n_train_speakers.value_or(0);
  const std::int64_t n_eval = wanted.n_eval_speakers.value_or(0);
  if (n_train > std::ssize(names) || n_eval > std::ssize(names) - n_train) {
    throw Error(
        ErrorKind::kConfig,
        fmt::format(
            "splits.n_train_speakers + splits.n_eval_speakers = {} + {}, but the input has {} speakers",
            n_train, n_eval, names.size()));
  }
  std::vector<std::size_t> order(names.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  core::Random random(core::derive_seed(wanted.seed.value_or(options.seed), "speakers"));
  core::shuffle(order, random);
  for (std::int64_t i = 0; i < n_train + n_eval; ++i) {
    split[order[static_cast<std::size_t>(i)]] = i < n_train ? Split::kTrain : Split::kEval;
  }
  return split;
}

void hold_out(SplitPlan& plan, const Options& options) {
  std::vector<std::size_t> train;
  for (std::size_t u = 0; u < plan.split.size(); ++u) {
    if (plan.split[u] == Split::kTrain) train.push_back(u);
  }
  const auto count =
      static_cast<std::size_t>(options.splits.utt_holdout_frac * static_cast<double>(train.size()));
  core::Random random(core::derive_seed(options.splits.seed.value_or(options.seed), "holdout"));
  core::shuffle(train, random);
  for (std::size_t i = 0; i < count; ++i) plan.holdout[train[i]] = 1;
}

void require_rows(const SplitPlan& plan, Split which, const char* name,
                  const std::vector<Utterance>& utterances, const Options& options) {
  std::int64_t kept = 0;
  for (std::size_t u = 0; u < utterances.size(); ++u) {
    if (plan.split[u] != which) continue;
    ++kept;
    if (utterances[u].n_frames > plan.first_t) return;
  }
  const std::string why =
      kept == 0 ? fmt::format(
                      "no {} utterance is left: none of its speakers has one of at least {} s "
                      "(data.min_duration_sec)",
                      name, options.data.min_duration_sec)
                : fmt::format("no {} utterance is longer than the {} frames that the context takes", name,
                              plan.first_t);
  throw Error(ErrorKind::kData, why, {options.data.latents});
}

}  // namespace

std::int64_t first_row_t(const ContextOptions& context) {
  const std::int64_t largest_lag = *std::max_element(context.lags.begin(), context.lags.end());
  return std::max<std::int64_t>(context.window_size - 1 + largest_lag, 1);
}

SampleIndex SplitPlan::index(Split which, const std::vector<Utterance>& utterances) const {
  std::vector<UtteranceRows> rows;
  for (std::size_t u = 0; u < utterances.size(); ++u) {
    if (split[u] != which || utterances[u].n_frames <= first_t) continue;
    UtteranceRows entry;
    entry.utterance = static_cast<std::int32_t>(u);
    entry.speaker = speaker[u];
    entry.frame_offset = utterances[u].offset;
    entry.n_frames = utterances[u].n_frames;
    entry.n_rows = utterances[u].n_frames - first_t;
    entry.first_t = first_t;
    entry.holdout = holdout[u] != 0;
    rows.push_back(entry);
  }
  return SampleIndex(std::move(rows));
}

SplitPlan plan_splits(const Options& options, const std::vector<Utterance>& utterances, double frame_rate_hz,
                      const std::vector<std::uint8_t>& dropped, Observer& observer) {
  SplitPlan plan;
  plan.first_t = first_row_t(options.context);
  std::set<std::string> names;
  for (const auto& utterance : utterances) names.insert(utterance.speaker);
  plan.speaker_names.assign(names.begin(), names.end());
  const std::vector<Split> of_speaker = speaker_splits(options, plan.speaker_names, observer);
  for (std::size_t u = 0; u < utterances.size(); ++u) {
    const auto at =
        std::lower_bound(plan.speaker_names.begin(), plan.speaker_names.end(), utterances[u].speaker) -
        plan.speaker_names.begin();
    const double seconds = static_cast<double>(utterances[u].n_frames) / frame_rate_hz;
    const bool kept = seconds >= options.data.min_duration_sec && dropped[u] == 0;
    plan.speaker.push_back(static_cast<std::int32_t>(at));
    plan.split.push_back(kept ? of_speaker[static_cast<std::size_t>(at)] : Split::kNone);
  }
  plan.holdout.assign(utterances.size(), 0);
  hold_out(plan, options);
  require_rows(plan, Split::kTrain, "train", utterances, options);
  require_rows(plan, Split::kEval, "eval", utterances, options);
  return plan;
}

}  // namespace phase0::data
