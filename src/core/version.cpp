#include "phase0/version.h"

namespace phase0 {

const char* version() {
  return "0.1.0";
}

}  // namespace phase0
