#include "analysis/student.h"

#include <cmath>
#include <limits>

#include "core/check.h"

namespace phase0::analysis {
namespace {

/// Keeps Lentz's denominators away from zero.
double away_from_zero(double x) {
  constexpr double kTiny = 1e-300;
  return std::abs(x) < kTiny ? kTiny : x;
}

/// The continued fraction of I_x(a, b); converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr int kMaxTerms = 100000;
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double value = d;
  for (int m = 1; m <= kMaxTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    value *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    value *= d * c;
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return value;
}

/// P(T > t) for t >= 0.
double upper_tail(double t, double dof) {
  const double square = t * t;
  return 0.5 * incomplete_beta(dof / 2, 0.5, dof / (dof + square), square / (dof + square));
}

}  // namespace

double incomplete_beta(double a, double b, double x, double y) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const double log_x = y < 0.5 ? std::log1p(-y) : std::log(x);
  const double log_front = std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * log_x + b * std::log(y);
  const double front = std::exp(log_front);
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, y) / b;
}

double student_t_quantile(double p, double dof) {
  PHASE0_CHECK(p > 0 && p < 1 && dof > 0);
  if (p < 0.5) return -student_t_quantile(1 - p, dof);
  const double tail = 1 - p;
  double low = 0;
  double high = 1;
  while (upper_tail(high, dof) > tail && high < std::numeric_limits<double>::max() / 4) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (upper_tail(middle, dof) > tail ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

SampleSummary summarise(std::span<const double> values) {
  SampleSummary summary;
  if (values.empty()) return summary;
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  const double mean = sum / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  summary.mean = mean;
  summary.std = std::sqrt(squares / n);
  if (values.size() < 2) return summary;
  const double half_width = student_t_quantile(0.975, n - 1) * std::sqrt(squares / (n - 1)) / std::sqrt(n);
  summary.ci_lower = mean - half_width;
  summary.ci_upper = mean + half_width;
  return summary;
}

}  // namespace phase0::analysis
