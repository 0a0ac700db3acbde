#include "run/input_path.h"

#include <filesystem>

#include "phase0/error.h"
#include "run/run_directory.h"

namespace phase0::run {

std::string input_path(const Options& options) {
  if (options.data.source.manifest.empty()) return options.data.latents;
  return RunDirectory{options.output.dir}.file("latents.h5");
}

void require_encoded(const Options& options) {
  std::error_code ignored;
  if (options.data.source.manifest.empty() || std::filesystem::exists(input_path(options), ignored)) return;
  throw Error(ErrorKind::kConfig, "the source is not encoded yet: run `phase0 collect` first",
              {.path = options.output.dir});
}

}  // namespace phase0::run
