#pragma once

#include <string>

namespace phase0::store {

/// Passed by every file that is written, at each step on its way to its final name `path`; for crash tests.
/// Does nothing unless PHASE0_KILL_AT=END:STEP[:N] is in the environment: then the process kills itself
/// (SIGKILL) the Nth time (default 1) that a file whose name ends with END reaches STEP.
///
///     all files            created, written, synced, renamed, folder_synced
///     HDF5 (h5_writer.h)   created, metadata_closed, metadata_synced (still NAME.new); renamed,
///     folder_synced
///                          (to NAME.partial, which is what END has to match there); reserved, streamed,
///                          synced, renamed, folder_synced
void commit_step(const std::string& path, const char* step);

}  // namespace phase0::store
