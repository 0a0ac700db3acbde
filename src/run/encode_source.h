#pragma once

#include "phase0/observer.h"
#include "phase0/options.h"
#include "phase0/pipeline.h"
#include "run/run_lock.h"

namespace phase0::run {

/// Makes input_path() of the valid section `data.source`, unless there is no source or it was made of the
/// same manifest and encoders before. Sequences that are encoded are kept when it ends early and need not be
/// encoded again. The run directory is locked by `lock` unless nothing is to be done. Throws Error: kData for
/// the manifest and for sequences that cannot be encoded, kMemory, kStorage, kInterrupted, kConfig when no
/// encoder can be had.
void encode_source(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock);

}  // namespace phase0::run
