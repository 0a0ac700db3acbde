#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/kmeans_lloyd.h"

namespace phase0::models {

/// The runs of several lanes that still go, lane by lane.
class LiveRuns {
 public:
  struct Run {
    LloydRun* run = nullptr;
    const KMeansData* data = nullptr;  ///< of its lane
    std::int64_t lane = 0;
    std::int64_t number = 0;  ///< of all runs, those included that do not go
  };
  /// Those of a lane, by their places in runs().
  struct Lane {
    std::int64_t lane = 0;
    std::int64_t begin = 0, end = 0;
    std::int64_t size() const { return end - begin; }
  };

  /// `lanes` outlive this.
  LiveRuns(std::span<const LloydLane> lanes, std::int64_t pause_after);

  bool empty() const { return runs_.empty(); }
  std::int64_t size() const { return std::ssize(runs_); }
  const Run& operator[](std::int64_t i) const { return runs_[static_cast<std::size_t>(i)]; }
  std::span<const Run> runs() const { return runs_; }
  std::span<const Run> runs(const Lane& lane) const {
    return runs().subspan(static_cast<std::size_t>(lane.begin), static_cast<std::size_t>(lane.size()));
  }
  const std::vector<Lane>& lanes() const { return lanes_; }
  std::vector<const KMeansData*> data() const;  ///< of each of runs()

  /// Leaves out those that are complete or pause by now.
  void leave_out_ended();

 private:
  std::int64_t pause_after_;
  std::vector<Run> runs_;
  std::vector<Lane> lanes_;
};

}  // namespace phase0::models
