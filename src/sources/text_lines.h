#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace phase0::sources {

/// Calls take(line, number from 1) for every line of a text file; line ends (LF or CR LF) are not part of it.
/// A file of any length is read in pieces; a line over 64 KiB or with a NUL is an Error (kData), for then it
/// is no such file.
void for_lines(const std::string& path,
               const std::function<void(std::string_view line, std::int64_t number)>& take);

/// Throws Error (kData) for a line of a text file.
[[noreturn]] void fail_line(const std::string& path, std::int64_t number, const std::string& message);

/// Without blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);
/// Takes the first word off `text`, together with the blanks around it; empty when there is none.
std::string_view take_word(std::string_view& text);

}  // namespace phase0::sources
