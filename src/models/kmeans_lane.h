#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/kmeans.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"
#include "models/kmeans_progress.h"

namespace phase0::models {

/// One of the fits that go together, on its way.
struct KMeansLane {
  KMeansLane(const KMeansFit& of, std::int64_t its_number, const KMeansPlan& plan,
             core::Execution& execution);

  const data::FeatureSource& all_rows() const { return copy ? *copy : fit.rows; }

  const KMeansFit& fit;
  std::int64_t number = 0;                    ///< among the fits
  std::unique_ptr<data::FeatureSource> copy;  ///< of all rows in memory, where there is one
  KMeansProgress progress;
  std::optional<KMeansData> data;  ///< of the rows that runs go over now
};

/// Lanes that go over their rows together.
using KMeansLanes = std::vector<KMeansLane*>;

/// What lanes go over: the rows of one, or those of all as lanes of one source.
class JoinedLanes {
 public:
  JoinedLanes(const KMeansLanes& lanes, const KMeansJoin& join);
  const data::FeatureSource& rows() const { return *rows_; }
  const std::string& label() const { return label_; }

 private:
  std::unique_ptr<data::FeatureSource> joined_;
  const data::FeatureSource* rows_;
  std::string label_;
};

/// How fits go together.
struct KMeansTogether {
  const KMeansPlan& plan;
  const KMeansJoin& join;
};

/// Iterates the groups of the lanes in lockstep. `task` says how and for how long; the rest of it is filled
/// in.
void iterate(const KMeansLanes& lanes, LloydTask task, const std::string& doing,
             const KMeansTogether& together, core::Execution& execution);

/// Runs all restarts of the lanes on lane.data, as many at a time as the plan says. progress.done has the one
/// or, to be refined, few with the least inertia afterwards, best first.
void run_restarts(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution);

/// Continues each lane's best restarts on all rows, in lockstep with those of the other lanes: for
/// kRaceIterations iterations, then the one that leads to its end. Its number in progress.done is
/// progress.leader then.
void refine(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution);

}  // namespace phase0::models
