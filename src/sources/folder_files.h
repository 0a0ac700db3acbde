#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace phase0::sources {

/// Gives the stem of every file STEM`suffix` of a folder, in no order; hidden ones are passed over. Throws
/// Error (kStorage).
void for_stems_in_folder(const std::string& folder, std::string_view suffix,
                         const std::function<void(std::string_view stem)>& take);
/// All of them in byte order.
std::vector<std::string> stems_in_folder(const std::string& folder, std::string_view suffix);

}  // namespace phase0::sources
