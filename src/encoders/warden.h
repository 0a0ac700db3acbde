#pragma once

#include <sys/types.h>

namespace phase0::encoders {

/// The rest of the life of a process that was forked to stand between this program and an encoder: it waits
/// for `encoder`, its child, and ends as that does. Should the program end first, even by SIGKILL, it kills
/// everything that the encoder has started: as their reaper (child subreaper, prctl(2)) it is handed whatever
/// has left its own parent, so that children of its own are all there is to kill.
///
/// Only async-signal-safe calls. The caller has blocked every signal and has asked for `parent_gone` with
/// PR_SET_PDEATHSIG.
[[noreturn]] void guard(pid_t encoder, int parent_gone);

}  // namespace phase0::encoders
