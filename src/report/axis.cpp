#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/number.h"

namespace phase0::report {
namespace {

double nice_step(double span, int max_ticks) {
  const double rough = span / std::max(1, max_ticks - 1);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * 0.999) return factor * power;
  }
  return 10.0 * power;
}

std::string linear_label(double value, double step, double largest) {
  if (largest >= 1e6 || step < 1e-6) return compact(value, 6);
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return fixed(value, decimals);
}

}  // namespace

void Extent::add(double value) {
  if (!std::isfinite(value)) return;
  const bool first = empty();
  lo_ = first ? value : std::min(lo_, value);
  hi_ = first ? value : std::max(hi_, value);
}

Axis Axis::linear(const Extent& extent, int max_ticks) {
  double lo = extent.empty() ? 0.0 : extent.lo();
  double hi = extent.empty() ? 1.0 : extent.hi();
  if (hi - lo <= 1e-9 * std::max(std::abs(lo), std::abs(hi)) || hi == lo) {
    const double room = lo == 0.0 ? 1.0 : 0.1 * std::abs(lo);
    lo -= room;
    hi += room;
  }
  const double step = nice_step(hi - lo, max_ticks);
  const double first = std::floor(lo / step + 1e-9);
  const double last = std::ceil(hi / step - 1e-9);
  Axis axis;
  axis.lo_ = first * step;
  axis.hi_ = last * step;
  const double largest = std::max(std::abs(axis.lo_), std::abs(axis.hi_));
  const int n = static_cast<int>(last - first);
  for (int i = 0; i <= n; ++i) {
    const double value = (first + i) * step;
    axis.ticks_.push_back({value, linear_label(value, step, largest)});
  }
  return axis;
}

Axis Axis::logarithmic(const Extent& extent) {
  const double lo = extent.empty() ? 1.0 : extent.lo();
  const double hi = extent.empty() ? 10.0 : extent.hi();
  const int first = static_cast<int>(std::floor(std::log10(lo) + 1e-9));
  const int last = std::max(first + 1, static_cast<int>(std::ceil(std::log10(hi) - 1e-9)));
  Axis axis;
  axis.log_ = true;
  axis.lo_ = first;
  axis.hi_ = last;
  const int every = (last - first + 6) / 7;
  for (int decade = first; decade <= last; decade += every) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, decade);
      if ((factor > 1.0 && last - first > 2) || value > std::pow(10.0, last) * 1.001) continue;
      axis.ticks_.push_back({value, short_count(value)});
    }
  }
  return axis;
}

void Axis::place(double from, double to) {
  from_ = from;
  to_ = to;
}

double Axis::position(double value) const {
  return log_ ? std::log10(value) : value;
}

double Axis::at(double value) const {
  return from_ + (position(value) - lo_) / (hi_ - lo_) * (to_ - from_);
}

std::string short_count(double value) {
  if (value >= 1e9) return compact(value / 1e9) + "G";
  if (value >= 1e6) return compact(value / 1e6) + "M";
  if (value >= 1e4) return compact(value / 1e3) + "k";
  return compact(value);
}

}  // namespace phase0::report
