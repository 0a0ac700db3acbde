#pragma once

namespace phase0::cli {

/// Reports must not throw, and what one fails to show is not worth a failed run.
template <typename Work>
void quietly(const Work& work) noexcept {
  try {
    work();
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace phase0::cli
