#pragma once

#include <string>

#include "encoders/manifest.h"
#include "encoders/staged_rows.h"
#include "phase0/observer.h"

namespace phase0::run {

/// Writes the encoded sequences, in the order of the manifest, as a latents file of layout A
/// (data/FORMAT.md). Those that are not staged, or made no frames, are left out. Throws Error: kData when
/// nothing is left, kStorage, kInterrupted.
void write_latents(const std::string& path, const encoders::Manifest& manifest,
                   const encoders::StagedRows& staged, const encoders::Hello& hello, Observer& observer);

}  // namespace phase0::run
