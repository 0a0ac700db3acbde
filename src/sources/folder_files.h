#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phase0::sources {

/// The files STEM`suffix` of a folder by their stems, in byte order; hidden ones are passed over. Throws
/// Error (kStorage).
std::vector<std::string> stems_in_folder(const std::string& folder, std::string_view suffix);

}  // namespace phase0::sources
