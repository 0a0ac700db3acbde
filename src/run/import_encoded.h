#pragma once

#include "phase0/convert.h"
#include "phase0/observer.h"

namespace phase0::run {

/// import_latents() by an encoder: as collect does for a manifest, in the folder OUTPUT.encoding, which is
/// removed when the output is there.
ConvertReport import_encoded(const ImportOptions& options, Observer& observer);

}  // namespace phase0::run
