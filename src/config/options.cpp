#include "phase0/options.h"

#include <fmt/format.h>

#include "config/check_options.h"
#include "config/names.h"
#include "phase0/error.h"

namespace phase0 {
namespace {

template <typename E>
const char* name_of(E value) {
  for (const auto& [candidate, name] : config::Names<E>::kAll) {
    if (candidate == value) return name;
  }
  return "unknown";
}

}  // namespace

const char* to_string(ConditionType type) {
  return name_of(type);
}
const char* to_string(Storage storage) {
  return name_of(storage);
}
const char* to_string(KernelChoice choice) {
  return name_of(choice);
}
const char* to_string(RestartsOn restarts) {
  return name_of(restarts);
}
const char* to_string(PcaMethod method) {
  return name_of(method);
}
const char* to_string(HoldoutPolicy policy) {
  return name_of(policy);
}
const char* to_string(NonFinitePolicy policy) {
  return name_of(policy);
}

const char* to_string(EncoderErrorPolicy policy) {
  return name_of(policy);
}

std::string filter_name(const SliceOptions& slice) {
  switch (slice.filter) {
    case SliceFilterKind::kAll:
      return "null";
    case SliceFilterKind::kEnergyAboveMedian:
      return "energy_above_median";
    case SliceFilterKind::kPosFrac:
      return fmt::format("pos_frac_{}_{}", slice.pos_frac_min, slice.pos_frac_max);
  }
  return "unknown";
}

void Options::validate() const {
  if (const auto problem = config::find_problem(*this)) {
    throw Error(ErrorKind::kConfig, problem->path + ": " + problem->message);
  }
}

}  // namespace phase0
