#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "encoders/encoder_client.h"
#include "phase0/observer.h"
#include "phase0/options.h"

namespace phase0::run {

struct ChosenEncoder {
  std::string name;                    ///< as the configuration calls it
  encoders::EncoderSettings settings;  ///< that more of its kind are started with
  std::unique_ptr<encoders::EncoderClient> client;
};

/// The first of `choices` that says hello; the others are not started. Throws Error: kConfig when none does,
/// kInterrupted, kStorage.
ChosenEncoder choose_encoder(const std::vector<EncoderOptions>& choices, std::int64_t budget_bytes,
                             encoders::ProcessKeeper& keeper, Observer& observer);

}  // namespace phase0::run
