#pragma once

#include <string>
#include <vector>

namespace phase0::report {

struct Tick {
  double value = 0;
  std::string label;
};

/// The smallest interval that holds every finite value added to it.
class Extent {
 public:
  void add(double value);
  bool empty() const { return lo_ > hi_; }
  double lo() const { return lo_; }
  double hi() const { return hi_; }

 private:
  double lo_ = 1;
  double hi_ = 0;
};

/// Maps values to pixels, with ticks at round values (steps of 1, 2 or 5 times a power of ten).
class Axis {
 public:
  /// Widened to whole ticks; an empty extent becomes 0 to 1 and a single value gets room on both sides.
  static Axis linear(const Extent& extent, int max_ticks);
  /// Base 10, for values > 0. Ticks at decades, and between them when there are few.
  static Axis logarithmic(const Extent& extent);

  /// 0 to 1 without ticks, for marks that are placed by hand.
  static Axis none() { return {}; }

  /// Lets the axis run from pixel `from` (lowest value) to `to`; may run backwards.
  void place(double from, double to);
  double at(double value) const;
  double from() const { return from_; }
  double to() const { return to_; }
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  double position(double value) const;
  bool log_ = false;
  double lo_ = 0, hi_ = 1;  ///< after the logarithm, where there is one
  double from_ = 0, to_ = 1;
  std::vector<Tick> ticks_;
};

/// `10k`, `2M`: counts on an axis.
std::string short_count(double value);

}  // namespace phase0::report
