#include "store/versions.h"

#include <fmt/format.h>
#include <hdf5.h>
#include <zstd.h>

namespace phase0::store {

std::vector<std::pair<std::string, std::string>> library_versions() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  H5get_libversion(&major, &minor, &release);
  return {{"hdf5", fmt::format("{}.{}.{}", major, minor, release)}, {"zstd", ZSTD_versionString()}};
}

}  // namespace phase0::store
