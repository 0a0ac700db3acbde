#pragma once

#include <cstdint>

/// Which instruction sets may be used here: what the CPU has and what the operating system saves for a
/// thread.
namespace phase0::linalg {

/// The answers of cpuid and xgetbv that decide it (Intel SDM vol. 1, 13.2, 14.7, 15.2 and 18.3).
struct CpuRegisters {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_edx = 0;
  std::uint64_t xcr0 = 0;  ///< 0 without OSXSAVE
};

struct CpuFeatures {
  bool avx2 = false;    ///< AVX2, FMA and F16C
  bool avx512 = false;  ///< AVX-512 F, DQ, BW and VL, with all of avx2
  bool amx = false;     ///< AMX tiles and bf16 products, with all of avx512
};

CpuFeatures decode(const CpuRegisters& registers);

/// This machine's. The first call asks the kernel for the use of tiles (Linux grants it to a process on
/// request), and `amx` says whether it agreed.
const CpuFeatures& cpu_features();

}  // namespace phase0::linalg
