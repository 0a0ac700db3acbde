#pragma once

#include <string>

#include "encoders/manifest.h"
#include "encoders/messages.h"
#include "phase0/options.h"

/// When frames that were encoded before can be used again.
namespace phase0::run {

/// What of a source the frames depend on: neither how many work on them nor how long they are waited for.
SourceOptions of_frames(SourceOptions source);

/// Of what the frames of an encoded sequence depend on, but for the encoder that is chosen.
std::string frames_key(const Options& options, const encoders::Manifest& manifest);

/// With the encoder: rows of one must not be gone on with by another, even if both say the same name.
std::string staged_key(const std::string& frames_key, const std::string& encoder,
                       const encoders::Hello& hello);

/// Of what it depends on which sequences are skipped: time limits and the policy.
std::string patience_key(const Options& options);

/// Whether input_path() holds the frames of this key. Where sequences were left out, it does only for who
/// would leave out the same.
bool is_encoded(const Options& options, const std::string& frames_key);

}  // namespace phase0::run
