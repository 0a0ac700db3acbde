#include "run/encode_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/execution.h"
#include "core/physical_cores.h"
#include "encoders/encode_pool.h"
#include "encoders/encoder_error.h"
#include "encoders/manifest.h"
#include "encoders/staged_rows.h"
#include "run/choose_encoder.h"
#include "run/encoded_latents.h"
#include "run/input_path.h"
#include "run/run_directory.h"
#include "run/source_identity.h"
#include "run/tuning_cache.h"
#include "store/atomic_file.h"
#include "store/posix_file.h"

namespace phase0::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kOwnBytes = core::MemoryBudget::kBaseBytes + (std::int64_t{32} << 20);
/// Of the ids of skipped sequences that are listed: latents.json and run.json are read back.
constexpr std::int64_t kMaxSkippedBytes = std::int64_t{1} << 20;
constexpr double kMemoryMargin = 1.25;  ///< on what was measured in between: looks can miss the peak

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

class SourceEncoding {
 public:
  SourceEncoding(const Options& options, Observer& observer, const encoders::Manifest& manifest,
                 std::string key)
      : options_(options),
        observer_(observer),
        key_(std::move(key)),
        directory_{options.output.dir},
        memory_(core::MemoryBudget::from_options(options.memory)),
        encoder_bytes_(memory_.bytes() - kOwnBytes),
        manifest_(manifest),
        keeper_([&observer] { return observer.stop_requested(); }),
        encoder_(choose_encoder(options.data.source.encoders, memory_.bytes(), keeper_, observer)),
        hello_(encoder_.client->hello()) {}

  void run(RunLock& lock) {
    store::create_folders(directory_.path);
    if (!lock) lock = RunLock(directory_.path);
    encoders::StagedRows staged(directory_.file("latents"), staged_key(key_, encoder_.name, hello_),
                                manifest_.entries().size(), hello_.row_bytes());
    staged_ = &staged;
    const double begin = core::now_seconds();
    encode_all();
    seconds_ = core::now_seconds() - begin;
    staged.sync();
    store::remove_file(directory_.file("latents.json"));  // of other frames, should this end in between
    write_latents(input_path(options_), manifest_, staged, hello_, observer_);
    const Json facts = {{"key", key_}, {"patience", patience_key(options_)}, {"encoder", describe()}};
    store::write_file_atomically(directory_.file("latents.json"), facts.dump(2) + "\n");
    staged.remove();
  }

 private:
  void encode_all();
  void run_pool(encoders::SequenceEncoder& first, encoders::BatchSizes& batches, std::int64_t n_workers,
                std::vector<std::size_t> sequences);
  std::int64_t share_memory(encoders::BatchSizes& batches, std::int64_t n_sequences, std::int64_t idle_bytes);
  std::int64_t resident_bytes();
  void require_room(std::int64_t idle_bytes) const;
  void failed(std::size_t sequence, const Error& error);
  Json describe() const;

  const Options& options_;
  Observer& observer_;
  std::string key_;
  RunDirectory directory_;
  core::MemoryBudget memory_;
  std::int64_t encoder_bytes_;
  const encoders::Manifest& manifest_;
  encoders::ProcessKeeper keeper_;
  ChosenEncoder encoder_;
  encoders::Hello hello_;
  encoders::StagedRows* staged_ = nullptr;
  encoders::PoolFigures figures_;
  std::vector<std::string> skipped_;  ///< the first of them
  std::int64_t n_skipped_ = 0, skipped_bytes_ = 0;
  std::int64_t n_workers_ = 1;
  double seconds_ = 0;
};

std::int64_t SourceEncoding::resident_bytes() {
  std::int64_t bytes = 0;
  for (const core::Process& process : keeper_.all()) bytes += process.rss_bytes;
  return bytes;
}

void SourceEncoding::encode_all() {
  const TuningCache cache;
  encoders::BatchSizes batches(encoder_.name, hello_.max_items, options_.data.source.batch,
                               cache.load("encode"));
  encoders::SequenceEncoder first(keeper_, encoder_.settings, batches);
  first.adopt(std::move(encoder_.client));
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < manifest_.entries().size(); ++i) {
    if (!staged_->sequences().contains(i)) left.push_back(i);
  }
  const std::int64_t n_kept = std::ssize(staged_->sequences());
  if (n_kept > 0) observer_.log(LogLevel::kInfo, fmt::format("{} sequences are encoded already", n_kept));
  const core::TaskScope task(observer_, "encoding", std::ssize(left));
  if (!left.empty()) {
    // The longest alone: it shows what a worker takes.
    const std::int64_t idle = resident_bytes();
    require_room(idle);
    const auto longest = std::max_element(left.begin(), left.end(), [this](std::size_t a, std::size_t b) {
      return manifest_.entries()[a].content_bytes < manifest_.entries()[b].content_bytes;
    });
    const std::size_t probe = *longest;
    left.erase(longest);
    run_pool(first, batches, 1, {probe});
    n_workers_ = share_memory(batches, std::max<std::int64_t>(1, std::ssize(left)), idle);
    if (!left.empty()) run_pool(first, batches, n_workers_, std::move(left));
  }
  first.finish();
  cache.save("encode", batches.table());
}

void SourceEncoding::require_room(std::int64_t idle_bytes) const {
  encoders::WorkerMemory memory;
  memory.measured_idle(idle_bytes);
  encoders::plan_workers({.n_wanted = 1, .budget_bytes = encoder_bytes_}, memory, 0);
}

/// How many workers there are to be, each with its share.
std::int64_t SourceEncoding::share_memory(encoders::BatchSizes& batches, std::int64_t n_sequences,
                                          std::int64_t idle_bytes) {
  encoders::WorkerMemory memory;
  // Beside each this process holds the rows of the sequence that is encoded.
  const std::int64_t base = idle_bytes + figures_.times.largest_sequence_bytes;
  memory.measured_idle(base);
  const auto busy = kMemoryMargin *
                    static_cast<double>(std::max<std::int64_t>(0, figures_.encoders_peak_bytes - idle_bytes));
  const std::int64_t message = figures_.times.largest_message_bytes;
  memory.measured_busy(base + static_cast<std::int64_t>(busy), message);
  // Each is to have room for such a message; where not even one has, the one there is goes on with less.
  encoders::WorkerPlan plan{1, encoder_bytes_};
  if (memory.predict(message) <= encoder_bytes_) {
    plan = encoders::plan_workers({.n_wanted = options_.data.source.workers,
                                   .budget_bytes = encoder_bytes_,
                                   .n_cores = core::physical_cores(),
                                   .threads_per_worker = encoder_.settings.threads,
                                   .n_sequences = n_sequences},
                                  memory, message);
  }
  batches.keep_within(memory, plan.bytes_per_worker);
  observer_.log(LogLevel::kInfo,
                fmt::format("{} encoder(s) of {} each, {} idle", plan.n_workers,
                            core::format_bytes(plan.bytes_per_worker), core::format_bytes(idle_bytes)));
  return plan.n_workers;
}

void SourceEncoding::run_pool(encoders::SequenceEncoder& first, encoders::BatchSizes& batches,
                              std::int64_t n_workers, std::vector<std::size_t> sequences) {
  encoders::PoolWork work;
  work.sequences = std::move(sequences);
  work.items = [this](std::size_t sequence) {
    return manifest_.items(sequence, hello_.input, hello_.max_item_bytes);
  };
  work.done = [this](std::size_t sequence, const encoders::SequenceRows& rows) {
    staged_->add(sequence, rows);
    observer_.task_advance(1, rows.n_bytes);
  };
  work.failed = [this](std::size_t sequence, const Error& error) { failed(sequence, error); };
  work.over_memory = [this](std::int64_t bytes) {
    observer_.log(LogLevel::kWarning,
                  fmt::format("the encoders would take more than the memory budget ({} with "
                              "phase0 itself): the largest is ended",
                              core::format_bytes(bytes)));
  };
  const encoders::PoolFigures figures =
      encoders::run_pool(keeper_, encoder_.settings, batches, first, {n_workers, memory_.bytes()}, work);
  figures_.times = figures.times;  // those of `first` go on from before
  figures_.peak_bytes = std::max(figures_.peak_bytes, figures.peak_bytes);
  figures_.encoders_peak_bytes = std::max(figures_.encoders_peak_bytes, figures.encoders_peak_bytes);
  figures_.n_over_memory += figures.n_over_memory;
  if (figures.n_not_started > 0) {
    observer_.log(LogLevel::kWarning, fmt::format("{} of {} encoders did not start: went on without",
                                                  figures.n_not_started, n_workers));
  }
}

void SourceEncoding::failed(std::size_t sequence, const Error& error) {
  const std::string& id = manifest_.entries()[sequence].id;
  const ErrorPlace place{.path = manifest_.path(), .utterance = id};
  const Error told(ErrorKind::kData, "cannot be encoded: " + error.message(), place);
  if (options_.data.on_encoder_error == EncoderErrorPolicy::kError) throw told;
  observer_.log(LogLevel::kWarning, std::string(told.what()) + "; skipped");
  ++n_skipped_;
  if (skipped_bytes_ + std::ssize(id) <= kMaxSkippedBytes) {
    skipped_bytes_ += std::ssize(id);
    skipped_.push_back(id);
  }
  observer_.task_advance(1, 0);
}

Json SourceEncoding::describe() const {
  const encoders::EncoderTimes& times = figures_.times;
  return {{"name", encoder_.name},
          {"says", hello_.name},
          {"workers", n_workers_},
          {"hello_seconds", times.hello_seconds},
          {"first_message_seconds", times.first_message_seconds},
          {"message_seconds_p50", quantile(times.message_seconds, 0.5)},
          {"message_seconds_p95", quantile(times.message_seconds, 0.95)},
          {"messages", times.message_seconds.size()},
          {"items", times.n_items},
          {"items_per_second", seconds_ > 0 ? static_cast<double>(times.n_items) / seconds_ : 0},
          {"seconds", seconds_},
          {"peak_memory_bytes", figures_.peak_bytes},
          {"starts", times.n_starts},
          {"out_of_memory", times.n_out_of_memory},
          {"ended_for_memory", figures_.n_over_memory},
          {"n_skipped", n_skipped_},
          {"skipped", skipped_}};
}

}  // namespace

void encode_source(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock) {
  if (options.data.source.manifest.empty()) return;
  const RunDirectory directory{options.output.dir};
  const auto manifest = encoders::Manifest::open(options.data.source.manifest);
  const std::string key = frames_key(options, manifest);
  const auto remove = [&directory](std::initializer_list<const char*> names) {
    for (const char* name : names) store::remove_file(directory.file(name));
  };
  const auto is_done = [&] { return !flags.fresh && is_encoded(options, key); };
  std::error_code ignored;
  if (!is_done() || std::filesystem::exists(directory.file("latents.rows"), ignored)) {
    // Before an encoder is started: it may take the memory that the one who holds the lock counts on. Without
    // an encoder no folder is created.
    if (!lock && std::filesystem::is_directory(directory.path, ignored)) lock = RunLock(directory.path);
    if (flags.fresh) remove({"latents.json", "latents.h5", "latents.rows", "latents.index"});
    if (!is_done()) return SourceEncoding(options, observer, manifest, key).run(lock);
    remove({"latents.rows", "latents.index"});  // of a start that was killed when all was done
  }
  observer.log(LogLevel::kInfo, "encoding: already done in " + directory.path);
}

}  // namespace phase0::run
