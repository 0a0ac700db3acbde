// Data for k-means, and what brute force says about a model.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "models/kmeans.h"
#include "models/sources.h"

namespace phase0::models::testing {

/// Points around `k` well separated centres.
inline std::vector<float> blobs(std::int64_t n, std::int64_t d, std::int64_t k, double offset) {
  core::Random random(31);
  std::vector<float> centres = normals(k * d, 32, 10.0);
  std::vector<float> x(static_cast<std::size_t>(n * d));
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t j = 0; j < d; ++j) {
      x[static_cast<std::size_t>(r * d + j)] = static_cast<float>(
          offset + static_cast<double>(centres[static_cast<std::size_t>((r % k) * d + j)]) + random.normal());
    }
  }
  return x;
}

inline KMeansTask task_for(std::int64_t k, RestartsOn restarts_on = RestartsOn::kAll,
                           std::int64_t n_init = 4) {
  KMeansTask task;
  task.k = k;
  task.options.n_init = n_init;
  task.options.restarts_on = restarts_on;
  task.seed = 7;
  task.scratch_folder = scratch_folder();
  task.label = "test";
  return task;
}

/// By brute force, in float64. Calls visit(row, label, squared distance) for every row.
template <typename Visit>
void for_each_nearest(const std::vector<float>& x, const KMeansModel& model, const Visit& visit) {
  for (std::int64_t r = 0; r < std::ssize(x) / model.d; ++r) {
    double best = std::numeric_limits<double>::infinity();
    std::size_t label = 0;
    for (std::int64_t c = 0; c < model.k; ++c) {
      double distance = 0;
      for (std::int64_t j = 0; j < model.d; ++j) {
        const double difference =
            static_cast<double>(x[static_cast<std::size_t>(r * model.d + j)]) -
            static_cast<double>(model.centroids[static_cast<std::size_t>(c * model.d + j)]);
        distance += difference * difference;
      }
      if (distance < best) {
        best = distance;
        label = static_cast<std::size_t>(c);
      }
    }
    visit(r, label, best);
  }
}

inline double inertia_of(const std::vector<float>& x, const KMeansModel& model,
                         std::vector<std::int64_t>* counts = nullptr) {
  double total = 0;
  if (counts != nullptr) counts->assign(static_cast<std::size_t>(model.k), 0);
  for_each_nearest(x, model, [&](std::int64_t, std::size_t label, double squared) {
    total += squared;
    if (counts != nullptr) ++(*counts)[label];
  });
  return total;
}

/// [k, d]: of the rows nearest to each centroid.
inline std::vector<float> means_of_nearest(const std::vector<float>& x, const KMeansModel& model) {
  std::vector<double> sums(model.centroids.size(), 0.0);
  std::vector<double> counts(static_cast<std::size_t>(model.k), 0.0);
  const auto d = static_cast<std::size_t>(model.d);
  for_each_nearest(x, model, [&](std::int64_t r, std::size_t label, double) {
    ++counts[label];
    for (std::size_t j = 0; j < d; ++j)
      sums[label * d + j] += static_cast<double>(x[static_cast<std::size_t>(r) * d + j]);
  });
  std::vector<float> means;
  for (std::size_t e = 0; e < sums.size(); ++e) means.push_back(static_cast<float>(sums[e] / counts[e / d]));
  return means;
}

}  // namespace phase0::models::testing
