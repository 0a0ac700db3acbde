#include "phase0/observer.h"

namespace phase0 {

void Observer::log(LogLevel /*level*/, std::string_view /*message*/) {}
void Observer::task_begin(std::string_view /*name*/, std::int64_t /*total*/) {}
void Observer::task_advance(std::int64_t /*done*/, std::int64_t /*bytes*/) {}
void Observer::task_end() {}
bool Observer::stop_requested() const {
  return false;
}

}  // namespace phase0
