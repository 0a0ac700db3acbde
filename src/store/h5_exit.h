#pragma once

namespace phase0::store {

/// Keeps HDF5 from tidying up when the process exits. HDF5 1.10 loses memory when it gives up on a damaged
/// file, and what is lost makes its tidying print lines of its own on stderr. Every file here is closed by
/// its owner, so nothing is left to do.
///
/// For a whole program, before anything else that uses HDF5; later it has no effect.
void leave_hdf5_at_exit();

}  // namespace phase0::store
