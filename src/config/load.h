#pragma once

#include <string>
#include <vector>

#include "phase0/options.h"

namespace phase0::config {

/// Reads a YAML configuration, applies `overrides` ("a.b.c=value", value in YAML), and validates it. Strict:
/// unknown keys, wrong types, duplicate keys, aliases, several documents, files over 1 MiB and out-of-range
/// values are Error (kConfig) with file, line, key, what was expected, and the nearest known key. A file that
/// exists but cannot be read for a fault of the machine is Error (kStorage).
Options load(const std::string& path, const std::vector<std::string>& overrides);

/// The same from text; `name` stands for the file in messages.
Options parse(const std::string& text, const std::string& name, const std::vector<std::string>& overrides);

/// Every key with its value, as YAML that `parse` reads back to the same Options.
std::string dump(const Options& options);

}  // namespace phase0::config
