#pragma once

#include <optional>
#include <span>

namespace phase0::analysis {

/// Regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1, to about 1e-11 relative. `y` is 1 -
/// x, given apart so that an x near 1 loses nothing. Continued fraction of Lentz's kind (DLMF 8.17.22).
double incomplete_beta(double a, double b, double x, double y);

/// The value t with P(T <= t) = p for Student's distribution with `dof` > 0 degrees of freedom, 0 < p < 1, to
/// 1e-9.
double student_t_quantile(double p, double dof);

/// Mean, spread and the 95 % Student-t interval of the mean.
struct SampleSummary {
  std::optional<double> mean;  ///< of at least one value
  std::optional<double> std;   ///< ddof 0
  std::optional<double>
      ci_lower;  ///< mean -/+ t_{0.975, n-1} s / sqrt(n), s with ddof 1; of at least two values
  std::optional<double> ci_upper;
};
SampleSummary summarise(std::span<const double> values);

}  // namespace phase0::analysis
