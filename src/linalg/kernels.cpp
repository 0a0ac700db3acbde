#include "linalg/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>
#include <string>

#include "linalg/kernels_sets.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

#if defined(__x86_64__)
/// Not every compiler knows the name for __builtin_cpu_supports.
bool cpu_has_f16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpu_has_f16c();
#else
  return false;
#endif
}

/// Written once at start-up by select_kernels, before any worker runs; read everywhere.
std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> table{available_kernels().front()};
  return table;
}

}  // namespace

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(PHASE0_HAVE_AVX2)
  if (has_avx2()) tables.push_back(&avx2::kKernels);
#endif
  tables.push_back(&portable::kKernels);
  return tables;
}

const Kernels& select_kernels(KernelChoice choice) {
  const auto tables = available_kernels();
  const Kernels* chosen = nullptr;
  std::string names;
  for (const Kernels* table : tables) {
    const std::string name = table->name;
    if (choice == KernelChoice::kAuto && chosen == nullptr) chosen = table;
    if (choice == KernelChoice::kPortable && name == "portable") chosen = table;
    if (choice == KernelChoice::kAvx2 && name == "avx2") chosen = table;
    names += (names.empty() ? "" : ", ") + name;
  }
  if (chosen == nullptr) {
    throw Error(ErrorKind::kConfig,
                "compute.kernels: not available on this machine; available: auto, " + names);
  }
  current().store(chosen);
  return *chosen;
}

const Kernels& kernels() {
  return *current().load(std::memory_order_relaxed);
}

}  // namespace phase0::linalg
