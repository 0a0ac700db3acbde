#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/unit_store.h"

namespace phase0::store {

/// One unit in a file of its own: magic, name, key, contents, their size and a CRC-32 of everything before
/// it. The file appears under its name complete or not at all, durably. Throws Error (kStorage).
void write_unit(const std::string& path, const core::UnitId& unit, const core::UnitStore::Write& write);

/// What a unit's file says of itself.
struct UnitInfo {
  core::UnitId unit;
  std::int64_t bytes = 0;  ///< of the file
};
/// Reads the head alone. Throws Error (kStorage) when it is none.
UnitInfo unit_info(const std::string& path);

/// Verifies the whole file, then hands its contents to `read`. Throws Error (kStorage) when it is damaged or
/// of another unit, or from `read`.
void read_unit(const std::string& path, const core::UnitId& unit, const core::UnitStore::Read& read);

}  // namespace phase0::store
