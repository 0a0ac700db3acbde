#pragma once

#include <string>

#include "config/value.h"

namespace phase0::config {

/// Applies `a.b.c=value` to a document: the value is YAML and replaces what stands there, or is added.
/// Numbers address elements of lists (`context.lags.0=2`); a list that the document does not have is taken
/// from the defaults. The new value's place names the override. Throws Error (kConfig).
void apply_override(Value& root, const std::string& override_text);

}  // namespace phase0::config
