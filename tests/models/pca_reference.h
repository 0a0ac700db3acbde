#pragma once

#include <Eigen/Core>
#include <vector>

#include "data/sample_index.h"
#include "models/pca.h"
#include "models/sources.h"

/// Data for the tests of PCA, and its definition in float64.
namespace phase0::models::testing {

/// Frames of `columns` values with a few strong directions that persist over time, plus an offset.
std::vector<float> persistent_frames(std::int64_t n, std::int64_t columns, double offset);

/// The windows as a float64 matrix, straight from the definition.
Eigen::MatrixXd windows(const std::vector<float>& frames, std::int64_t columns,
                        const data::SampleIndex& index, std::int64_t window, std::int64_t lag);

/// Of whole rows.
inline PcaTask whole_rows(const data::SourceShape& rows, std::int64_t k,
                          PcaMethod method = PcaMethod::kAuto) {
  return {.k = k, .window = rows.window, .starts = {0}, .method = method, .scratch_folder = scratch_folder()};
}
inline PcaModel fit_one(const data::FeatureSource& rows, std::int64_t k, core::Execution& execution,
                        PcaMethod method = PcaMethod::kAuto) {
  return fit_pca(rows, whole_rows(rows.shape(), k, method), execution)[0];
}

struct Reference {
  Eigen::VectorXd mean, variance;
  Eigen::MatrixXd components;  // [F, F]
  double total = 0;
};

Reference svd(const Eigen::MatrixXd& rows);

void expect_close(const PcaModel& model, const Reference& reference, double value_tolerance,
                  double cosine_slack);

}  // namespace phase0::models::testing
