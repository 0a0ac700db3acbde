#pragma once

#include "encoders/child_process.h"

namespace phase0::encoders {

/// This process's ends of a child's standard streams. They do not block.
struct ChildPipes {
  store::FileDescriptor input;   ///< to write to
  store::FileDescriptor output;  ///< to read from
  store::FileDescriptor errors;
};

struct SpawnedChild {
  pid_t pid = 0;
  ChildPipes pipes;
};

/// Starts `command` in a session of its own, with default signals, no core dumps and no descriptors but its
/// standard streams. It is killed when the calling thread ends first. Returns once the program runs. Throws
/// Error: kConfig when the command cannot be run, kStorage when there are no resources for a process.
SpawnedChild spawn(ProcessKeeper& keeper, const ChildCommand& command);

}  // namespace phase0::encoders
