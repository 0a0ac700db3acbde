#pragma once

#include <string_view>

/// The program's standard streams. Results go to stdout, everything else to stderr.
namespace phase0::cli {

/// Occupies closed standard descriptors, so that no data file is opened as number 1 or 2 and then printed
/// into. What is written to them later fails as if they were closed.
void occupy_standard_descriptors();

/// Writes all of `text`. Throws Error (kStorage) when stdout cannot take it; a reader that has gone away
/// (EPIPE) is no failure, and what it did not want to read is dropped.
void write_stdout(std::string_view text);

/// Writes to stderr and does not care whether anybody reads it.
void write_stderr(std::string_view text) noexcept;

bool stderr_is_terminal();
/// Columns of the terminal on stderr; 80 when it does not say.
int terminal_width();

}  // namespace phase0::cli
