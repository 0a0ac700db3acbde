#pragma once

#include <cstdint>
#include <string>

/// The file system that holds a path, or its nearest existing parent.
namespace phase0::store {

/// Free bytes for this user. Throws Error (kStorage).
std::int64_t free_disk_bytes(const std::string& path);

/// Whether its files lie in memory (tmpfs, ramfs): what is written there counts as memory. Throws Error
/// (kStorage).
bool lies_in_memory(const std::string& path);

/// The device's number; 0 when it cannot be had.
std::uint64_t device_of(const std::string& path);

/// `path`, or its nearest parent that exists.
std::string nearest_existing(const std::string& path);

}  // namespace phase0::store
