#pragma once

#include <array>
#include <cstddef>

namespace phase0::run {

/// Steps of the inner loops, whose time per unit is measured (calibration.h) and whose units are counted
/// (plan_work.h).
enum class Operation : std::size_t {
  kMean,           ///< a value of a frame added into a mean
  kMoment,         ///< a value of a row, column moments
  kScore,          ///< a row against a centroid, whatever the length
  kProduct,        ///< a value of a row against one of a centroid
  kSum,            ///< a value added to a centroid's sum
  kDistance,       ///< a value of a float64 distance
  kFloatProduct,   ///< a multiplication and addition of a float32 matrix product
  kDoubleProduct,  ///< the same in float64
  kOrder,          ///< a value counted for an order statistic
  kNearAdd,        ///< a value added to sums that stay in the cache
  kFarAdd,         ///< a value added to sums that do not
  kDraw,           ///< a label drawn for a permutation
};
inline constexpr std::size_t kOperations = 12;
const char* name_of(Operation operation);

/// A count that is not known exactly: at least, to be expected, at most.
struct Range {
  double min = 0, expected = 0, max = 0;

  Range() = default;
  Range(double exactly)
      : min(exactly), expected(exactly), max(exactly) {}  // NOLINT(google-explicit-constructor)
  Range(double at_least, double to_be_expected, double at_most)
      : min(at_least), expected(to_be_expected), max(at_most) {}
  Range& operator+=(const Range& other) {
    min += other.min;
    expected += other.expected;
    max += other.max;
    return *this;
  }
  friend Range operator+(Range a, const Range& b) { return a += b; }
  friend Range operator*(double factor, const Range& r) {
    return {factor * r.min, factor * r.expected, factor * r.max};
  }
};

/// What a stage computes and moves.
struct Work {
  double bytes_input = 0;  ///< different bytes of files that were there before
  Range bytes_read;        ///< every pass counted
  Range bytes_written;
  std::array<Range, kOperations> units;

  void add(Operation operation, const Range& count) { units[static_cast<std::size_t>(operation)] += count; }
};

}  // namespace phase0::run
