#pragma once

#include <functional>
#include <string>
#include <vector>

#include "encoders/encoder_client.h"

namespace phase0::encoders {

enum class CheckOutcome { kPassed, kFailed, kSkipped };

/// One rule of data/ENCODER.md, tried on an encoder.
struct CheckResult {
  std::string name;
  CheckOutcome outcome = CheckOutcome::kPassed;
  std::string detail;  ///< what was found, or why not
};

/// Tries every rule on the encoder and tells of each check when it is done. An encoder that a check has
/// broken is started anew for the next one; when it does not start at all the other checks are skipped. Wav
/// files to encode are made in a temporary folder. Throws Error: kConfig when the command cannot be run,
/// kInterrupted when the keeper is told to stop, kStorage.
void check_encoder(ProcessKeeper& keeper, const EncoderSettings& settings,
                   const std::function<void(const CheckResult&)>& tell);

}  // namespace phase0::encoders
