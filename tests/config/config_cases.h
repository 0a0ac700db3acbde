#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/load.h"
#include "phase0/error.h"

namespace phase0::config {

/// The least that a configuration must say, on lines 1 to 2.
inline const std::string kMinimal =
    "data: {latents: x.h5}\n"
    "splits: {n_train_speakers: 3, n_eval_speakers: 2}\n";

/// The error of a text that must not be accepted.
inline Error rejection(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, "c.yaml", overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    return error;
  }
  ADD_FAILURE() << "accepted:\n" << text.substr(0, 1000);
  return {ErrorKind::kInternal, "accepted"};
}

/// What the error of `kMinimal` plus `text` (from line 3 on) says.
inline std::string message_of(const std::string& text) {
  return rejection(kMinimal + text).what();
}

}  // namespace phase0::config
