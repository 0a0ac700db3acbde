#include "store/commit_step.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace phase0::store {
namespace {

/// What PHASE0_KILL_AT asks for.
class KillAt {
 public:
  KillAt() {
    const char* text = std::getenv("PHASE0_KILL_AT");
    const std::string_view wanted = text == nullptr ? "" : text;
    const std::size_t colon = wanted.find(':');
    if (colon == std::string_view::npos) return;
    end_ = wanted.substr(0, colon);
    step_ = wanted.substr(colon + 1);
    const std::size_t count = step_.find(':');
    if (count == std::string::npos) return;
    left_ = std::atoi(step_.c_str() + count + 1);
    step_.resize(count);
  }
  bool reached(std::string_view path, std::string_view step) {
    return !step_.empty() && step == step_ && path.ends_with(end_) && --left_ == 0;
  }

 private:
  std::string end_, step_;
  std::atomic<int> left_ = 1;
};

}  // namespace

void commit_step(const std::string& path, const char* step) {
  static KillAt kill_at;
  if (kill_at.reached(path, step)) ::kill(::getpid(), SIGKILL);
}

}  // namespace phase0::store
