#include "models/live_runs.h"

namespace phase0::models {

LiveRuns::LiveRuns(std::span<const LloydLane> lanes, std::int64_t pause_after) : pause_after_(pause_after) {
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    for (LloydRun& run : lanes[lane].runs) {
      runs_.push_back({&run, &lanes[lane].data, static_cast<std::int64_t>(lane), std::ssize(runs_)});
    }
  }
  leave_out_ended();
}

std::vector<const KMeansData*> LiveRuns::data() const {
  std::vector<const KMeansData*> data;
  for (const Run& run : runs_) data.push_back(run.data);
  return data;
}

void LiveRuns::leave_out_ended() {
  std::erase_if(runs_, [&](const Run& live) {
    const bool paused = !live.run->ended() && live.run->n_iter >= pause_after_;
    return live.run->complete() || paused;
  });
  lanes_.clear();
  for (std::int64_t i = 0; i < size(); ++i) {
    const std::int64_t lane = (*this)[i].lane;
    if (lanes_.empty() || lanes_.back().lane != lane) lanes_.push_back({lane, i, i});
    lanes_.back().end = i + 1;
  }
}

}  // namespace phase0::models
