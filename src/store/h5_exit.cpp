#include "store/h5_exit.h"

#include <hdf5.h>

namespace phase0::store {

void leave_hdf5_at_exit() {
  H5dont_atexit();
}

}  // namespace phase0::store
