#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/pipeline.h"
#include "report/write.h"
#include "run/session.h"

namespace phase0::run {

/// Measures a stage while it lives: wall time, bytes moved by the kernel, peak memory.
class StageMeter {
 public:
  StageMeter();
  struct Figures {
    double seconds = 0;
    std::int64_t bytes_read = 0, bytes_written = 0;  ///< to and from storage, /proc/self/io
    std::int64_t peak_rss_bytes = 0;
    bool peak_is_of_stage = false;  ///< false where the kernel does not allow a new peak: then of the process
  };
  Figures read() const;

 private:
  double start_seconds_;
  std::int64_t start_read_, start_written_;
  bool reset_;
};

/// Facts about the input for run.json.
struct InputFacts {
  std::string path, dtype;
  std::int64_t bytes = 0, mtime_ns = 0, n_frames = 0, dim = 0, n_utterances = 0;
  double frame_rate_hz = 0;
};

/// Adds a finished stage to run.json (creating it), atomically. `extra` are named counts of the stage.
void record_stage(const Session& session, const StagePlan& plan, const StageMeter::Figures& figures,
                  const std::vector<PlanItem>& extra);
/// Writes the part of run.json that collect knows.
void record_input(const Session& session, const InputFacts& input);
InputFacts read_input_facts(const RunDirectory& directory);
/// Memory of the stages before analyze, as far as run.json tells.
std::vector<report::StageMemory> read_stage_memory(const RunDirectory& directory);

}  // namespace phase0::run
