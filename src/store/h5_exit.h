#pragma once

namespace phase0::store {

/// For a program that closes its files itself: HDF5 does nothing when the process ends. It would complain on
/// stderr about what a damaged file has left behind in it. Before any other use of HDF5.
void leave_hdf5_at_exit();

}  // namespace phase0::store
