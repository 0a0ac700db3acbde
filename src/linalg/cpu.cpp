#include "linalg/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace phase0::linalg {
namespace {

constexpr bool has_all(std::uint64_t value, std::uint64_t bits) {
  return (value & bits) == bits;
}
constexpr std::uint64_t bit(int i) {
  return std::uint64_t{1} << i;
}

CpuRegisters read_registers() {
  CpuRegisters registers;
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) != 0) registers.leaf1_ecx = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    registers.leaf7_ebx = b;
    registers.leaf7_edx = d;
  }
  if (has_all(registers.leaf1_ecx, bit(27))) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    registers.xcr0 = (std::uint64_t{high} << 32) | low;
  }
#endif
  return registers;
}

/// arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), see Documentation/x86/xstate.rst of Linux.
bool may_use_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

CpuFeatures decode(const CpuRegisters& registers) {
  constexpr std::uint64_t kOsXsave = bit(27);
  constexpr std::uint64_t kFmaAvxF16c = bit(12) | bit(28) | bit(29);
  constexpr std::uint64_t kAvx2 = bit(5);
  constexpr std::uint64_t kAvx512 = bit(16) | bit(17) | bit(30) | bit(31);
  constexpr std::uint64_t kAmx = bit(22) | bit(24);
  constexpr std::uint64_t kVectorState = bit(1) | bit(2);
  constexpr std::uint64_t kMaskState = bit(5) | bit(6) | bit(7);
  constexpr std::uint64_t kTileState = bit(17) | bit(18);
  CpuFeatures features;
  features.avx2 = has_all(registers.leaf1_ecx, kOsXsave | kFmaAvxF16c) &&
                  has_all(registers.leaf7_ebx, kAvx2) && has_all(registers.xcr0, kVectorState);
  features.avx512 =
      features.avx2 && has_all(registers.leaf7_ebx, kAvx512) && has_all(registers.xcr0, kMaskState);
  features.amx = features.avx512 && has_all(registers.leaf7_edx, kAmx) && has_all(registers.xcr0, kTileState);
  return features;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = [] {
    CpuFeatures here = decode(read_registers());
    here.amx = here.amx && may_use_tiles();
    return here;
  }();
  return features;
}

}  // namespace phase0::linalg
