#pragma once

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>

#include "phase0/error.h"

/// The entry that libFuzzer calls, and replay.cpp with the files of the corpus: one input, 0 when it is dealt
/// with. Anything but a return is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// What the harnesses share.
namespace phase0::fuzz {

/// Ends the process in the way that the fuzzer takes for a finding.
[[noreturn]] inline void found(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}
inline void expect(bool holds, const std::string& what) {
  if (!holds) found(what);
}

/// Whether `work` ended without an Error. One of `kinds` is a fine end; another kind, or another exception,
/// is a finding.
template <typename Work>
bool ends_well(std::initializer_list<ErrorKind> kinds, const Work& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    const bool documented = std::find(kinds.begin(), kinds.end(), error.kind()) != kinds.end();
    expect(documented, std::string("an Error of another kind: ") + error.what());
  } catch (const std::exception& error) {
    found(std::string("not an Error: ") + error.what());
  }
  return false;
}

/// An input may take a second of the processor, and the process 256 MiB. libFuzzer's own limits take a
/// machine that stands still for an input that does, and look at the memory once a second.
class Limits {
 public:
  /// At the end of the input.
  void check() const {
    constexpr double kMostSeconds = 1;
    constexpr long kMostKib = 256L << 10;
    const double seconds = cpu_seconds() - start_;
    expect(seconds <= kMostSeconds, "an input of " + std::to_string(seconds) + " s");
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    expect(usage.ru_maxrss <= kMostKib, "a process of " + std::to_string(usage.ru_maxrss) + " KiB");
  }

 private:
  static double cpu_seconds() {
    return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
  }
  double start_ = cpu_seconds();
};

/// Takes an input apart from its front; behind its end there are zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  /// Little-endian, of `n` bytes.
  std::uint32_t number(std::size_t n) {
    std::uint32_t value = 0;
    const std::size_t there = std::min(n, bytes_.size());
    for (std::size_t i = there; i-- > 0;) value = value << 8 | bytes_[i];
    bytes_ = bytes_.subspan(there);
    return value;
  }
  std::span<const std::byte> rest() const { return std::as_bytes(bytes_); }
  std::string rest_text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// A file in memory that has a path, gone with this.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (descriptor_ < 0 || ::write(descriptor_, data, size) != static_cast<ssize_t>(size)) {
      throw std::runtime_error("no file in memory");
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace phase0::fuzz
