#include "linalg/kernels.h"

#include <atomic>
#include <string>

#include "linalg/cpu.h"
#include "linalg/kernels_sets.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

/// Written once at start-up by select_kernels, before any worker runs; read everywhere.
std::atomic<const Kernels*>& current() {
  static std::atomic<const Kernels*> table{available_kernels().front()};
  return table;
}

std::string name_of(KernelChoice choice) {
  switch (choice) {
    case KernelChoice::kAuto:
      return "auto";
    case KernelChoice::kPortable:
      return "portable";
    case KernelChoice::kAvx2:
      return "avx2";
    case KernelChoice::kAvx512:
      return "avx512";
    case KernelChoice::kAmx:
      return "amx";
  }
  return "unknown";
}

}  // namespace

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(PHASE0_HAVE_X86_KERNELS)
  const CpuFeatures& cpu = cpu_features();
  if (cpu.amx) tables.push_back(&amx::kernels());
  if (cpu.avx512) tables.push_back(&avx512::kKernels);
  if (cpu.avx2) tables.push_back(&avx2::kKernels);
#endif
  tables.push_back(&portable::kKernels);
  return tables;
}

const Kernels& select_kernels(KernelChoice choice) {
  const auto tables = available_kernels();
  const std::string wanted = choice == KernelChoice::kAuto ? tables.front()->name : name_of(choice);
  std::string names;
  for (const Kernels* table : tables) {
    if (wanted == table->name) {
      current().store(table);
      return *table;
    }
    names += std::string(", ") + table->name;
  }
  throw Error(ErrorKind::kConfig,
              "compute.kernels: " + wanted +
                  " is not available on this machine, by its CPU, its operating system or "
                  "this build; available: auto" +
                  names);
}

const Kernels& kernels() {
  return *current().load(std::memory_order_relaxed);
}

}  // namespace phase0::linalg
