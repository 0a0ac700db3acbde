#include "core/order_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/check.h"

namespace phase0::core {
namespace {
constexpr std::uint32_t kSign = 0x80000000U;

/// Assigning an empty list keeps the memory.
template <typename T>
void release(std::vector<T>& values) {
  std::vector<T>().swap(values);
}

}  // namespace

std::uint32_t ordered_key(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value + 0.0F);  // the sum turns -0 into +0
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

float from_ordered_key(std::uint32_t key) {
  return std::bit_cast<float>((key & kSign) != 0 ? key & ~kSign : ~key);
}

OrderStatistics::OrderStatistics(int bits, std::span<const std::int64_t> ranks) : shift_(bits) {
  PHASE0_CHECK(bits >= kDigitBits && bits <= 64 && bits % kDigitBits == 0);
  targets_.reserve(ranks.size());
  for (const std::int64_t rank : ranks) {
    PHASE0_CHECK(rank >= 0);
    targets_.push_back({rank, 0});
  }
  if (!targets_.empty()) {
    prefixes_ = {0};
    expected_ = {-1};
  }
}

bool OrderStatistics::next_pass() {
  if (counting_) end_pass();
  if (shift_ == 0 || targets_.empty()) {
    prefixes_.clear();  // whatever is added from here on is nobody's
    release(counts_);
    return false;
  }
  begin_pass();
  return true;
}

void OrderStatistics::begin_pass() {
  shift_ -= kDigitBits;
  counting_ = true;
  // Nobody knows before the first pass how many there are: they are kept until they are too many.
  keeping_ = std::accumulate(expected_.begin(), expected_.end(), std::int64_t{0}) <= kMostKept;
  release(counts_);
  if (keeping_)
    kept_.reserve(static_cast<std::size_t>(kMostKept));  // growing would take half as much again
  else
    count_from_zero();
}

void OrderStatistics::count_from_zero() {
  counts_.assign(prefixes_.size() * static_cast<std::size_t>(kDigits), 0);
}

void OrderStatistics::keep(std::uint64_t key) {
  if (std::ssize(kept_) == kMostKept) {
    count_kept();
    add(key);
  } else {
    kept_.push_back(key);
  }
}

void OrderStatistics::count_kept() {
  keeping_ = false;
  count_from_zero();
  add(kept_);
  release(kept_);
}

void OrderStatistics::end_pass() {
  counting_ = false;
  if (std::exchange(keeping_, false))
    find_among_kept();
  else
    find_among_counts();
}

void OrderStatistics::find_among_kept() {
  std::sort(kept_.begin(), kept_.end());
  std::vector<std::span<const std::uint64_t>> with_prefix;
  for (std::size_t p = 0; p < prefixes_.size(); ++p) {
    const auto begin = std::partition_point(kept_.begin(), kept_.end(),
                                            [&](std::uint64_t key) { return prefix_of(key) < prefixes_[p]; });
    const auto end = std::partition_point(begin, kept_.end(),
                                          [&](std::uint64_t key) { return prefix_of(key) == prefixes_[p]; });
    PHASE0_CHECK(expected_[p] < 0 || expected_[p] == end - begin);
    with_prefix.emplace_back(begin, end);
  }
  for (Target& target : targets_) {
    const auto keys = with_prefix[static_cast<std::size_t>(find(target.prefix))];
    PHASE0_CHECK(target.rank < std::ssize(keys));
    target = {0, keys[static_cast<std::size_t>(target.rank)]};
  }
  shift_ = 0;
  expected_.clear();
  release(kept_);
}

void OrderStatistics::find_among_counts() {
  for (std::size_t p = 0; p < prefixes_.size(); ++p) {
    const auto first = counts_.begin() + static_cast<std::int64_t>(p) * kDigits;
    std::int64_t seen = 0;
    for (auto count = first; count != first + kDigits; ++count) seen += *count;
    PHASE0_CHECK(expected_[p] < 0 || expected_[p] == seen);
  }
  std::vector<std::pair<std::uint64_t, std::int64_t>> found;  // longer prefix, keys that begin with it
  for (Target& target : targets_) {
    const std::int64_t* counts = counts_.data() + find(target.prefix) * kDigits;
    std::int64_t digit = 0;
    while (digit < kDigits && target.rank >= counts[digit]) target.rank -= counts[digit++];
    PHASE0_CHECK(digit < kDigits);
    target.prefix = (target.prefix << kDigitBits) | static_cast<std::uint64_t>(digit);
    found.emplace_back(target.prefix, counts[digit]);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  prefixes_.clear();
  expected_.clear();
  for (const auto& [prefix, count] : found) {
    prefixes_.push_back(prefix);
    expected_.push_back(count);
  }
}

std::uint64_t OrderStatistics::value(std::size_t i) const {
  PHASE0_CHECK(!counting_ && shift_ == 0 && i < targets_.size());
  return targets_[i].prefix;
}

QuantilePosition quantile_position(std::int64_t n, double q) {
  PHASE0_CHECK(n >= 1 && q >= 0 && q <= 1);
  const double position = static_cast<double>(n - 1) * q;
  if (position >= static_cast<double>(n - 1)) return {n - 1, n - 1, 0};
  const double below = std::floor(position);
  const auto lower = static_cast<std::int64_t>(below);
  return {lower, lower + 1, position - below};
}

double interpolate(double a, double b, double weight) {
  const double difference = b - a;
  return weight >= 0.5 ? b - difference * (1 - weight) : a + difference * weight;
}

}  // namespace phase0::core
