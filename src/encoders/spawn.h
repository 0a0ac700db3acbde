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
  pid_t pid = 0;  ///< of that process
  ChildPipes pipes;
};

/// Starts `command` in a session of its own, with default signals, no core dumps and no descriptors but its
/// standard streams, below a process that ends as it does and kills it with all that it has started when the
/// calling thread ends first, be it by SIGKILL. Returns once the program runs. Throws
/// Error: kConfig when the command cannot be run, kStorage when there are no resources for a process.
SpawnedChild spawn(ProcessKeeper& keeper, const ChildCommand& command);

}  // namespace phase0::encoders
