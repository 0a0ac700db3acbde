#pragma once

#include "run/stage_plan.h"
#include "run/work.h"

namespace phase0::run {

/// What each stage computes, reads and writes, counted from the shapes alone.
Work collect_work(const Session& session, const Workload& workload);
Work fit_work(const Session& session, const Workload& workload);
Work analyze_work(const Session& session, const Workload& workload, std::int64_t scans);

/// Disk that fit's finished files and its largest scratch files take.
std::int64_t fit_output_bytes(const Session& session, const Workload& workload);
/// What later starts may go on from (run/stage_cache.h): models and ids once more.
std::int64_t fit_kept_bytes(const Session& session, const Workload& workload);
/// `kmeans` of each condition, as FitParts; empty where fits go one by one.
std::int64_t fit_scratch_bytes(const Session& session, const Workload& workload,
                               const std::vector<models::KMeansPlan>& kmeans);
/// An upper bound of the tables, metrics and report.
std::int64_t analyze_output_bytes(const Session& session, const Workload& workload);

/// Puts the bytes moved into a plan.
void set_traffic(const Work& work, StagePlan& plan);
/// Bytes of the run directory's files, those of earlier stages included, that count as memory because they
/// lie on tmpfs; 0 on a disk.
std::int64_t collect_files_in_memory(const Session& session, const Workload& workload);
std::int64_t fit_files_in_memory(const Session& session, const Workload& workload);
std::int64_t analyze_files_in_memory(const Session& session, const Workload& workload);

}  // namespace phase0::run
