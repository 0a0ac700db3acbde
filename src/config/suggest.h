#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phase0::config {

/// Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment distance.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, the first of equals; empty when none is near enough to be meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// `; did you mean "n_init"?`, or `; known: a, b, c` when nothing is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace phase0::config
