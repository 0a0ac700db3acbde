#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

/// Exact order statistics of streams that do not fit memory.
namespace phase0::core {

/// Order-preserving map of finite float32 (and infinities) to unsigned integers: a < b exactly when
/// ordered_key(a) < ordered_key(b). -0 and +0 share a key.
std::uint32_t ordered_key(float value);
/// The value of a key; the key of the zeros gives +0.
float from_ordered_key(std::uint32_t key);

/// The keys that stand at given ranks of a stream of unsigned integers once it is sorted, exact, by refining
/// one 16-bit digit per pass, most significant first; 32,768 keys or fewer that matter in a pass are kept and
/// sorted, and no other pass is needed. The caller drives the passes and must stream the same multiset in
/// each, in any order:
///
///     OrderStatistics median(32, {n / 2});
///     while (median.next_pass()) {
///       for (float x : values) median.add(ordered_key(x));
///     }
///     float m = from_ordered_key(static_cast<std::uint32_t>(median.value(0)));
///
/// Streams of several columns: one object each, fed in the same scan; one that needs no pass any more ignores
/// what it is given. Memory: 512 KiB for each distinct prefix that still leads to a rank (at most one per
/// rank), and 256 KiB. Not thread-safe.
class OrderStatistics {
 public:
  /// `bits`: significant bits of the keys, 16, 32, 48 or 64; at most as many passes of 16. `ranks`: 0-based,
  /// >= 0, in any order, each less than the number of keys.
  OrderStatistics(int bits, std::span<const std::int64_t> ranks);
  OrderStatistics(int bits, std::initializer_list<std::int64_t> ranks)
      : OrderStatistics(bits, std::span(ranks.begin(), ranks.size())) {}

  /// Ends the pass before, if any, and begins the next. False when no pass is needed any more: values are
  /// known. Throws Error (kInternal) when a rank is not less than the number of keys, or the stream changed
  /// between passes.
  bool next_pass();
  void add(std::uint64_t key) {
    const std::int64_t prefix = find(prefix_of(key));
    if (prefix < 0) return;
    if (keeping_)
      keep(key);
    else
      ++counts_[static_cast<std::size_t>(prefix * kDigits +
                                         static_cast<std::int64_t>((key >> shift_) % kDigits))];
  }
  void add(std::span<const std::uint64_t> keys) {
    for (const std::uint64_t key : keys) add(key);
  }

  /// Key at the i-th of the ranks given; only after next_pass() returned false.
  std::uint64_t value(std::size_t i) const;

  /// Most memory an object takes that is given at most so many keys.
  static std::int64_t bytes(std::int64_t n_keys, std::int64_t n_ranks) {
    return kMostKept * 8 + (n_keys <= kMostKept ? 0 : n_ranks * kDigits * 8);
  }

 private:
  static constexpr int kDigitBits = 16;
  static constexpr std::int64_t kDigits = std::int64_t{1} << kDigitBits;
  static constexpr std::int64_t kMostKept = kDigits / 2;

  /// One of the ranks: where it stands among the keys that begin with its prefix.
  struct Target {
    std::int64_t rank = 0;
    std::uint64_t prefix = 0;
  };

  /// The digits above the one of this pass.
  std::uint64_t prefix_of(std::uint64_t key) const { return key >> shift_ >> kDigitBits; }
  /// Position of an active prefix or -1.
  std::int64_t find(std::uint64_t prefix) const {
    // Few prefixes: a linear scan of a sorted list that ends early beats a binary search.
    for (std::size_t i = 0; i < prefixes_.size() && prefixes_[i] <= prefix; ++i) {
      if (prefixes_[i] == prefix) return static_cast<std::int64_t>(i);
    }
    return -1;
  }
  void begin_pass();
  void end_pass();
  void count_from_zero();
  void keep(std::uint64_t key);
  void count_kept();
  void find_among_kept();
  void find_among_counts();

  int shift_;  ///< of the digit counted in this pass; the number of bits before the first pass
  bool counting_ = false;
  bool keeping_ = false;  ///< in this pass, keys are kept instead of counted
  std::vector<Target> targets_;
  std::vector<std::uint64_t> prefixes_;  ///< distinct, ascending
  std::vector<std::int64_t> expected_;   ///< keys known to begin with each prefix; -1 before the first pass
  std::vector<std::int64_t> counts_;     ///< [prefix, digit]
  std::vector<std::uint64_t> kept_;      ///< keys that begin with an active prefix
};

/// Where a quantile lies among n sorted values, in NumPy's default method `linear` (Hyndman and Fan 1996,
/// type 7).
struct QuantilePosition {
  std::int64_t lower = 0;  ///< rank of the value below
  std::int64_t upper = 0;  ///< rank of the value above; equal to `lower` at the end
  double weight = 0;       ///< of the upper one, in [0, 1)
};

/// n >= 1, 0 <= q <= 1.
QuantilePosition quantile_position(std::int64_t n, double q);

/// a + (b - a) * weight, in the form NumPy evaluates (from the nearer end), so that results agree to the bit.
double interpolate(double a, double b, double weight);

}  // namespace phase0::core
