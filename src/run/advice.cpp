#include "run/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "run/journal.h"
#include "run/stage_cache.h"
#include "store/file_system.h"

namespace phase0::run {
namespace {

/// One setting with the values to try, mildest first. `apply` returns KEY=VALUE, or nothing when the value
/// changes nothing.
struct Knob {
  std::vector<std::int64_t> values;
  std::function<std::string(Options&, std::int64_t)> apply;
};

/// value / 2, value / 4, .. down to `least`.
std::vector<std::int64_t> halves(std::int64_t value, std::int64_t least) {
  std::vector<std::int64_t> values;
  while (value > least) values.push_back(value = std::max(value / 2, least));
  return values;
}

Knob threads_knob(int threads) {
  return {halves(threads, 1), [](Options& options, std::int64_t value) {
            options.compute.threads = value;
            return fmt::format("compute.threads={}", value);
          }};
}

Knob min_cluster_size_knob(const Options& options) {
  std::vector<std::int64_t> values;
  const std::int64_t size = options.clustering.min_cluster_size;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t factor = 2; factor <= 1024 && size <= kMost / factor; factor *= 2)
    values.push_back(factor * size);
  return {values, [](Options& changed, std::int64_t value) {
            changed.clustering.min_cluster_size = value;
            return fmt::format("clustering.min_cluster_size={}", value);
          }};
}

Knob permutations_knob(const Options& options) {
  return {halves(options.metrics.permutations, 0), [](Options& changed, std::int64_t value) {
            changed.metrics.permutations = value;
            return fmt::format("metrics.permutations={}", value);
          }};
}

/// One slice is left: the one of all rows, which the decision needs.
Knob slices_knob(const Options& options) {
  Knob knob;
  if (options.slices.size() > 1) knob.values.push_back(1);
  knob.apply = [](Options& changed, std::int64_t) {
    const auto all =
        std::find_if(changed.slices.begin(), changed.slices.end(),
                     [](const SliceOptions& slice) { return slice.filter == SliceFilterKind::kAll; });
    changed.slices = {all != changed.slices.end() ? *all : changed.slices.front()};
    return fmt::format("slices=[{{name: \"{}\", filter: {}}}]", changed.slices[0].name,
                       filter_name(changed.slices[0]));
  };
  return knob;
}

void add_condition_knobs(const Options& options, std::vector<Knob>& knobs) {
  for (std::size_t i = 0; i < options.clustering.conditions.size(); ++i) {
    const ConditionOptions& condition = options.clustering.conditions[i];
    if (condition.k > 0) {
      knobs.push_back({halves(condition.k, 2), [i](Options& changed, std::int64_t value) {
                         changed.clustering.conditions[i].k = value;
                         return fmt::format("clustering.conditions.{}.k={}", i, value);
                       }});
    }
    if (condition.pca_dim > 0) {
      knobs.push_back({halves(condition.pca_dim, 1), [i](Options& changed, std::int64_t value) {
                         changed.clustering.conditions[i].pca_dim = value;
                         return fmt::format("clustering.conditions.{}.pca_dim={}", i, value);
                       }});
    }
  }
}

std::vector<Knob> knobs_of(const Session& session, ChangeableFrom from) {
  std::vector<Knob> knobs = {threads_knob(session.threads())};
  if (from != ChangeableFrom::kAnalyze) add_condition_knobs(session.options(), knobs);
  knobs.push_back(slices_knob(session.options()));
  knobs.push_back(permutations_knob(session.options()));
  knobs.push_back(min_cluster_size_knob(session.options()));
  return knobs;
}

/// Options on the way to less, with the settings that lead there.
struct Candidate {
  Options options;
  PlanChange change;
};

/// Below this a change is not worth telling.
constexpr std::int64_t kWorthwhileBytes = std::int64_t{1} << 20;

class Search {
 public:
  Search(const Session& session, const MinimumOf& minimum) : minimum_(minimum) {
    start_.options = session.options();
    start_.options.memory = {session.memory().bytes(), std::nullopt};
    start_.options.compute.threads = session.threads();
    start_.change.minimum_memory_bytes = minimum(session);
  }

  const Candidate& start() const { return start_; }
  bool fits(const PlanChange& change) const {
    return change.minimum_memory_bytes <= *start_.options.memory.budget_bytes;
  }

  /// The mildest value of a knob that fits, else the one with the least need; nothing when none helps.
  std::optional<Candidate> turn(const Candidate& from, const Knob& knob) const {
    std::optional<Candidate> best;
    for (const std::int64_t value : knob.values) {
      Candidate candidate = from;
      candidate.change.settings.push_back(knob.apply(candidate.options, value));
      const auto bytes = minimum_of(candidate.options);
      const std::int64_t least = (best ? *best : from).change.minimum_memory_bytes;
      if (!bytes || *bytes > least - kWorthwhileBytes) continue;
      candidate.change.minimum_memory_bytes = *bytes;
      best = std::move(candidate);
      if (fits(best->change)) break;
    }
    return best;
  }

 private:
  /// Nothing when the options do not go together.
  std::optional<std::int64_t> minimum_of(const Options& options) const {
    Observer silent;
    try {
      return minimum_(Session(options, silent));
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  const MinimumOf& minimum_;
  Candidate start_;
};

bool needs_less(const Candidate& a, const Candidate& b) {
  return a.change.minimum_memory_bytes < b.change.minimum_memory_bytes;
}

/// Takes the most helpful knob again and again until it fits or nothing helps.
std::optional<Candidate> combine(const Search& search, std::vector<Knob> knobs) {
  Candidate at = search.start();
  while (!search.fits(at.change)) {
    std::optional<Candidate> best;
    std::size_t used = 0;
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      auto candidate = search.turn(at, knobs[i]);
      if (!candidate || (best && !needs_less(*candidate, *best))) continue;
      best = std::move(candidate);
      used = i;
    }
    if (!best) return std::nullopt;
    at = std::move(*best);
    knobs.erase(knobs.begin() + static_cast<std::ptrdiff_t>(used));
  }
  return at;
}

std::int64_t disk_bytes_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_blocks) * 512 : 0;
}

/// Whole MiB, rounded up, so that the figure, given back as --memory, is accepted.
std::int64_t whole_mebibytes(std::int64_t bytes) {
  return (bytes + (std::int64_t{1} << 20) - 1) >> 20;
}

}  // namespace

std::vector<PlanChange> ways_to_less_memory(const Session& session, const MinimumOf& minimum,
                                            ChangeableFrom from) {
  const Search search(session, minimum);
  const std::vector<Knob> knobs = knobs_of(session, from);
  std::vector<PlanChange> changes;
  for (const Knob& knob : knobs) {
    if (auto candidate = search.turn(search.start(), knob)) changes.push_back(std::move(candidate->change));
  }
  const auto fits = [&](const PlanChange& change) { return search.fits(change); };
  // Enough comes first, and of what is not enough the most helpful.
  std::stable_sort(changes.begin(), changes.end(), [&](const PlanChange& a, const PlanChange& b) {
    if (fits(a) || fits(b)) return fits(a) && !fits(b);
    return a.minimum_memory_bytes < b.minimum_memory_bytes;
  });
  if (!changes.empty() && !fits(changes.front())) {
    if (auto together = combine(search, knobs)) changes.insert(changes.begin(), std::move(together->change));
  }
  return changes;
}

std::string memory_error(std::int64_t minimum_bytes, std::int64_t budget_bytes,
                         const std::vector<PlanChange>& changes) {
  std::string text = fmt::format("the memory budget of {} is too small; the smallest that works is {}MiB",
                                 core::format_bytes(budget_bytes), whole_mebibytes(minimum_bytes));
  const bool enough = !changes.empty() && changes.front().minimum_memory_bytes <= budget_bytes;
  if (changes.empty()) return text + "; no setting of this stage lowers it";
  text += enough ? "; it would do with" : "; nothing makes it fit, but less is needed with";
  std::size_t told = 0;
  for (const PlanChange& change : changes) {
    if (enough && change.minimum_memory_bytes > budget_bytes) break;
    if (told++ == 3) break;
    text +=
        fmt::format("{} --set '{}' ({}MiB)", told == 1 ? "" : " or", fmt::join(change.settings, "' --set '"),
                    whole_mebibytes(change.minimum_memory_bytes));
  }
  return text;
}

void require_memory(const Session& session, const MinimumOf& minimum, ChangeableFrom from) {
  const std::int64_t bytes = minimum(session);
  const std::int64_t budget = session.memory().bytes();
  if (bytes <= budget) return;
  throw Error(ErrorKind::kMemory, memory_error(bytes, budget, ways_to_less_memory(session, minimum, from)));
}

void require_disk(const Session& session, const std::string& what, std::int64_t needed_bytes,
                  std::int64_t replaced_bytes) {
  const std::string& path = session.directory().path;
  const std::int64_t free = store::free_disk_bytes(path) + replaced_bytes;
  if (needed_bytes <= free) return;
  throw Error(ErrorKind::kStorage,
              fmt::format("disk full: {} needs {}, {} free", what, core::format_bytes(needed_bytes),
                          core::format_bytes(free)),
              ErrorPlace{.path = path});
}

std::int64_t replaced_bytes(const Session& session, const std::string& first_stage) {
  std::int64_t bytes = 0;
  for (const std::string& file : files_from(first_stage)) {
    bytes += disk_bytes_of(session.directory().file(file));
    bytes += disk_bytes_of(session.directory().file(file + ".partial"));  // gone on with, or removed
  }
  // Cells that are kept need not be kept again.
  if (first_stage != "analyze") bytes += cache_bytes(session.directory(), "fit");
  return bytes;
}

}  // namespace phase0::run
