#pragma once

#include "run/session.h"
#include "run/stage_plan.h"
#include "run/work.h"

namespace phase0::run {

inline constexpr double kValue = 4;  ///< bytes of a float32

inline double as_double(std::int64_t value) {
  return static_cast<double>(value);
}

inline double n_lags(const Session& session) {
  return as_double(std::ssize(session.options().context.lags));
}

/// Rows of a feature and what loading one costs.
struct Rows {
  double n = 0, d = 0;
  double row_bytes = 0;    ///< read from files
  double mean_values = 0;  ///< values averaged into a row; 0 for a stored one
};

/// One pass that loads all rows.
inline void load(const Rows& rows, const Range& passes, Work& work) {
  work.bytes_read += rows.n * rows.row_bytes * passes;
  work.add(Operation::kMean, rows.n * rows.mean_values * passes);
}

inline Rows stored(double n, double d) {
  return {n, d, kValue * d, 0};
}

inline Rows in_memory(double n, double d) {
  return {n, d, 0, 0};
}

/// Rows of one lag's features with the storage of the run. Frames of a context are read once per pass.
class FeatureRows {
 public:
  FeatureRows(const Session& session, const Workload& workload)
      : dense_(workload.storage == Storage::kDense),
        dim_(as_double(workload.dim)),
        window_(as_double(session.options().context.window_size)),
        frame_bytes_(as_double(workload.frame_bytes)) {}

  Rows delta(double n) const { return dense_ ? stored(n, dim_) : Rows{n, dim_, frame_bytes_, 0}; }
  Rows mean(double n) const { return dense_ ? stored(n, dim_) : Rows{n, dim_, frame_bytes_, window_ * dim_}; }
  Rows flat(double n) const {
    return {n, window_ * dim_, dense_ ? kValue * window_ * dim_ : frame_bytes_, 0};
  }

 private:
  bool dense_;
  double dim_, window_, frame_bytes_;
};

}  // namespace phase0::run
