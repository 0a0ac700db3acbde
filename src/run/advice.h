#pragma once

#include <functional>
#include <string>
#include <vector>

#include "phase0/pipeline.h"
#include "run/session.h"

namespace phase0::run {

/// The least budget for the options and threads of a session.
using MinimumOf = std::function<std::int64_t(const Session&)>;

/// From which stage on the options may still be changed without doing earlier stages again.
enum class ChangeableFrom { kCollect, kFit, kAnalyze };

/// Changes of single settings that lower the least budget, found by planning again with each: threads, k and
/// pca_dim of every condition, min_cluster_size, slices, permutations. A setting is changed no further than
/// the session's budget asks for. When no single one is enough but several are, they come first, together.
std::vector<PlanChange> ways_to_less_memory(const Session& session, const MinimumOf& minimum,
                                            ChangeableFrom from);

/// Names the smallest budget that works, which --memory accepts, and some of the changes.
std::string memory_error(std::int64_t minimum_bytes, std::int64_t budget_bytes,
                         const std::vector<PlanChange>& changes);

/// Throws Error (kMemory) with the smallest budget that works and what to change for less when the session's
/// is too small.
void require_memory(const Session& session, const MinimumOf& minimum, ChangeableFrom from);

/// Throws Error (kStorage) that names what `what` needs and what is free when the run directory's disk has
/// too little; `replaced_bytes` are free once it begins.
void require_disk(const Session& session, const std::string& what, std::int64_t needed_bytes,
                  std::int64_t replaced_bytes);

/// Bytes on disk of the run directory's files of `first_stage` and those after it, which are removed before
/// it begins.
std::int64_t replaced_bytes(const Session& session, const std::string& first_stage);

}  // namespace phase0::run
