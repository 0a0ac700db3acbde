#include "linalg/cpu.h"

#include <gtest/gtest.h>

namespace phase0::linalg {
namespace {

constexpr std::uint32_t bits(std::initializer_list<int> which) {
  std::uint32_t value = 0;
  for (const int i : which) value |= 1u << i;
  return value;
}

/// A machine with everything, as Sapphire Rapids reports it.
CpuRegisters everything() {
  CpuRegisters registers;
  registers.leaf1_ecx = bits({12, 27, 28, 29});
  registers.leaf7_ebx = bits({5, 16, 17, 30, 31});
  registers.leaf7_edx = bits({22, 24, 25});
  registers.xcr0 = bits({0, 1, 2, 5, 6, 7, 17, 18});
  return registers;
}

TEST(Cpu, EverythingIsSeen) {
  const CpuFeatures features = decode(everything());
  EXPECT_TRUE(features.avx2);
  EXPECT_TRUE(features.avx512);
  EXPECT_TRUE(features.amx);
}

TEST(Cpu, NothingWithoutTheOperatingSystem) {
  CpuRegisters registers = everything();
  registers.xcr0 = 0;
  EXPECT_FALSE(decode(registers).avx2);
  registers.xcr0 = bits({0, 1, 2});  // saves the AVX state alone
  EXPECT_TRUE(decode(registers).avx2);
  EXPECT_FALSE(decode(registers).avx512);
  registers.xcr0 = bits({0, 1, 2, 5, 6, 7});  // and the AVX-512 state
  EXPECT_TRUE(decode(registers).avx512);
  EXPECT_FALSE(decode(registers).amx);
}

TEST(Cpu, EveryFeatureBitCounts) {
  for (const int i : {12, 27, 28, 29}) {
    CpuRegisters registers = everything();
    registers.leaf1_ecx &= ~bits({i});
    EXPECT_FALSE(decode(registers).avx2) << i;
    EXPECT_FALSE(decode(registers).amx) << i;
  }
  for (const int i : {16, 17, 30, 31}) {
    CpuRegisters registers = everything();
    registers.leaf7_ebx &= ~bits({i});
    EXPECT_TRUE(decode(registers).avx2) << i;
    EXPECT_FALSE(decode(registers).avx512) << i;
    EXPECT_FALSE(decode(registers).amx) << i;
  }
  for (const int i : {22, 24}) {
    CpuRegisters registers = everything();
    registers.leaf7_edx &= ~bits({i});
    EXPECT_TRUE(decode(registers).avx512) << i;
    EXPECT_FALSE(decode(registers).amx) << i;
  }
}

}  // namespace
}  // namespace phase0::linalg
