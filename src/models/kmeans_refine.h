#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "models/kmeans.h"
#include "models/kmeans_data.h"
#include "models/kmeans_progress.h"

namespace phase0::models {

/// One of the fits that go together, on its way.
struct KMeansLane {
  KMeansLane(const KMeansFit& of, std::int64_t its_number, const KMeansPlan& plan,
             core::Execution& execution);

  const data::FeatureSource& rows() const { return copy ? *copy : fit.rows; }

  const KMeansFit& fit;
  std::int64_t number = 0;                    ///< among the fits
  std::unique_ptr<data::FeatureSource> copy;  ///< of all rows in memory, where there is one
  KMeansProgress progress;
  std::optional<KMeansData> data;  ///< of all rows, once runs are refined on them
};

/// Continues each lane's best restarts on all rows, in lockstep with those of the other lanes: for
/// kRaceIterations iterations, then the one that leads to its end. Its number in progress.done is
/// progress.leader then.
void refine_kmeans(std::deque<KMeansLane>& lanes, const JoinRows& join, const std::string& label,
                   const KMeansPlan& plan, core::Execution& execution);

}  // namespace phase0::models
