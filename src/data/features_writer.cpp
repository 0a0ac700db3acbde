#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/check.h"
#include "core/checked.h"
#include "core/order_statistics.h"
#include "data/features_file.h"
#include "data/features_progress.h"
#include "data/scan.h"
#include "store/h5_writer.h"

namespace phase0::data {
namespace {

constexpr std::int64_t kDenseLimitBytes = std::int64_t{1} << 30;
constexpr std::int64_t kRowBytes = 5 * 4 + 1;
constexpr std::int64_t kEnergyChunk = std::int64_t{1} << 16;
/// Neighbours that faults at the ends of a worker's ranges map as well (store/mapped.cpp).
constexpr std::int64_t kMappedAround = std::int64_t{1} << 20;
constexpr std::int64_t kFlushRows = std::int64_t{1} << 18;

/// Median energy over all frames of the kept train utterances; the mean of the two middle values for an even
/// count.
double compute_median_energy(const Latents& latents, const SplitPlan& plan, core::Execution& execution) {
  std::int64_t n = 0;
  for (std::size_t u = 0; u < plan.split.size(); ++u) {
    if (plan.split[u] == Split::kTrain) n += latents.utterances()[u].n_frames;
  }
  core::OrderStatistics middle(32, {(n - 1) / 2, n / 2});
  std::vector<float> energy(static_cast<std::size_t>(kEnergyChunk));
  while (middle.next_pass()) {
    for (std::size_t u = 0; u < plan.split.size(); ++u) {
      if (plan.split[u] != Split::kTrain) continue;
      execution.check_stop();
      const Utterance& utterance = latents.utterances()[u];
      for (std::int64_t first = 0; first < utterance.n_frames; first += kEnergyChunk) {
        const std::int64_t count = std::min(kEnergyChunk, utterance.n_frames - first);
        latents.read_energy(utterance.offset + first, count, energy.data());
        for (std::int64_t i = 0; i < count; ++i)
          middle.add(core::ordered_key(energy[static_cast<std::size_t>(i)]));
      }
    }
  }
  const auto value = [&middle](std::size_t i) {
    return static_cast<double>(core::from_ordered_key(static_cast<std::uint32_t>(middle.value(i))));
  };
  return 0.5 * (value(0) + value(1));
}

/// Kept as a unit when it took long enough.
double median_energy(const Latents& latents, const SplitPlan& plan, core::Execution& execution,
                     const std::string& key) {
  core::Checkpoint kept(execution.units, {"collect: energy median", key});
  double median = 0;
  if (kept.load([&](core::ByteSource& source) { median = source.get<double>(); })) return median;
  median = compute_median_energy(latents, plan, execution);
  kept.save_when_due([&](core::ByteSink& sink) { sink.put(median); });
  return median;
}

/// A worker's delta block, one column's block behind it, and the pages of that column's rows.
core::ScanNeed dense_need(const SampleIndex& index, std::int64_t window, std::int64_t dim,
                          std::int64_t frame_bytes) {
  const SourceShape delta = delta_shape(index, dim, frame_bytes);
  std::int64_t most = 0;
  for (const SourceShape& column : {delta, means_shape(index, window, {0}, dim, frame_bytes),
                                    flat_shape(index, window, dim, frame_bytes)}) {
    const std::int64_t written = std::min(column.block_rows, column.n_rows) * column.dim() * 4;
    most = std::max(most, column.block_bytes + written);
  }
  core::ScanNeed need = scan_need(delta);
  need.worker_bytes += most + kMappedAround;
  return need;
}

/// Median energy and row index: counters, and the pages written before they are flushed.
std::int64_t rows_bytes(const SampleIndex& index, const Latents& latents) {
  std::int64_t longest = 0;
  for (const UtteranceRows& u : index.utterances()) longest = std::max(longest, u.n_rows);
  const std::int64_t rows = std::min(index.n_rows(), kFlushRows + longest);
  return rows * kRowBytes + core::OrderStatistics::bytes(latents.n_frames(), 2) + 4 * kEnergyChunk +
         latents.read_bytes();
}

/// The datasets of one split, in the order they are declared.
class SplitWriter {
 public:
  SplitWriter(store::H5Writer& file, const Options& options, Storage storage, Split split,
              const SampleIndex& index, std::int64_t dim)
      : file_(file),
        options_(options),
        storage_(storage),
        group_(split_group(split)),
        index_(index),
        dim_(dim) {
    const std::int64_t n = index.n_rows();
    using store::ElementType;
    for (const char* name : {"utterance", "t", "speaker"}) file.declare(rows(name), ElementType::kInt32, {n});
    for (const char* name : {"pos_frac", "energy"}) file.declare(rows(name), ElementType::kFloat32, {n});
    file.declare(rows("high_energy"), ElementType::kUInt8, {n});
    if (storage != Storage::kDense) return;
    file.declare(group_ + "/delta", ElementType::kFloat32, {n, dim});
    for (const std::int64_t lag : options.context.lags) {
      file.declare(lag_group(lag) + "/mean", ElementType::kFloat32, {n, dim});
      file.declare(lag_group(lag) + "/flat", ElementType::kFloat32, {n, dim * options.context.window_size});
    }
  }

  /// `median` is empty when the input has no energy.
  void write_rows(const Latents& latents, std::optional<double> median, core::Execution& execution,
                  FeaturesProgress& progress) {
    const core::Reservation memory(execution.memory, rows_bytes(index_, latents), "the row index");
    store::MappedDataset utterance = file_.map(rows("utterance"));
    store::MappedDataset t = file_.map(rows("t"));
    store::MappedDataset speaker = file_.map(rows("speaker"));
    store::MappedDataset pos_frac = file_.map(rows("pos_frac"));
    store::MappedDataset energy = file_.map(rows("energy"));
    store::MappedDataset high_energy = file_.map(rows("high_energy"));
    const std::string task = group_.substr(1) + " row index";
    std::int64_t finished = progress.resume(rows("utterance"), task, index_.n_rows());
    const auto finish = [&](std::int64_t end) {
      const std::pair<const char*, const store::MappedDataset&> columns[] = {
          {"utterance", utterance}, {"t", t},           {"speaker", speaker},
          {"pos_frac", pos_frac},   {"energy", energy}, {"high_energy", high_energy}};
      for (const auto& [name, column] : columns) {
        progress.finish(rows(name), column, finished, end - finished);
      }
      finished = end;
      progress.save_when_due();
    };
    const core::TaskScope scope(execution.observer, task, index_.n_rows() - finished);
    for (const UtteranceRows& u : index_.utterances()) {
      if (u.first_row < finished) continue;
      execution.check_stop();
      float* energies = energy.mutable_data<float>() + u.first_row;
      if (median) {
        latents.read_energy(u.frame_offset + u.first_t, u.n_rows, energies);
      } else {
        std::fill_n(energies, u.n_rows, std::numeric_limits<float>::quiet_NaN());
      }
      for (std::int64_t i = 0; i < u.n_rows; ++i) {
        const std::int64_t row = u.first_row + i;
        utterance.mutable_data<std::int32_t>()[row] = u.utterance;
        t.mutable_data<std::int32_t>()[row] = static_cast<std::int32_t>(u.first_t + i);
        speaker.mutable_data<std::int32_t>()[row] = u.speaker;
        pos_frac.mutable_data<float>()[row] =
            static_cast<float>(static_cast<double>(u.first_t + i) / static_cast<double>(u.n_frames));
        high_energy.mutable_data<std::uint8_t>()[row] =
            median && static_cast<double>(energies[i]) > *median ? 1 : 0;
      }
      execution.observer.task_advance(u.n_rows, u.n_rows * kRowBytes);
      const std::int64_t end = u.first_row + u.n_rows;
      if (end - finished >= kFlushRows || progress.due()) finish(end);
    }
    if (finished < index_.n_rows()) finish(index_.n_rows());
  }

  /// delta, and mean and flat of every lag, from frames.
  void write_dense(const FrameMatrix& frames, core::Execution& execution, FeaturesProgress& progress) {
    if (storage_ != Storage::kDense) return;
    const auto delta = delta_source(frames, index_);
    std::vector<Column> columns = dense_columns(frames);
    const std::string task = group_.substr(1) + " features";
    const std::int64_t finished = progress.resume(columns[0].name, task, index_.n_rows());
    const core::WorkerLimit limit(execution.pool, std::min(execution.pool.size(), kDenseWriters));
    ScanRoom room(execution, dense_need(index_, options_.context.window_size, dim_, frames.row_bytes()),
                  "dense features", delta->shape());
    std::vector<FeatureBlock> loaded(static_cast<std::size_t>(room.workers()));
    std::vector<std::uint32_t> sums(static_cast<std::size_t>(room.slots()) * columns.size());
    scan(
        *delta, room, task,
        [&](std::int64_t block, std::int64_t slot, int worker, const FeatureBlock&) {
          FeatureBlock& data = loaded[static_cast<std::size_t>(worker)];
          for (std::size_t c = 0; c < columns.size(); ++c) {
            sums[static_cast<std::size_t>(slot) * columns.size() + c] =
                write_block(columns[c], block, data, progress);
          }
        },
        [&](std::int64_t first, std::int64_t n) {
          for (std::size_t i = 0; i < static_cast<std::size_t>(n) * columns.size(); ++i) {
            const Column& column = columns[i % columns.size()];
            const std::int64_t block = first + static_cast<std::int64_t>(i / columns.size());
            const std::int64_t n_rows = delta->block_size(block);
            progress.add(column.name, n_rows, n_rows * column.out.row_bytes(), sums[i]);
          }
          progress.save_when_due();
        },
        core::ceil_div(finished, delta->block_rows()));
  }

 private:
  struct Column {
    std::string name;
    std::unique_ptr<FeatureSource> source;
    store::MappedDataset out;
  };

  std::vector<Column> dense_columns(const FrameMatrix& frames) {
    const std::int64_t window = options_.context.window_size;
    std::vector<Column> columns;
    const auto add = [&](const std::string& name, std::unique_ptr<FeatureSource> source) {
      columns.push_back({name, std::move(source), file_.map(name)});
    };
    add(group_ + "/delta", delta_source(frames, index_));
    for (const std::int64_t lag : options_.context.lags) {
      add(lag_group(lag) + "/mean", means_source(frames, index_, window, {lag}));
      add(lag_group(lag) + "/flat", flat_source(frames, index_, window, lag));
    }
    return columns;
  }

  /// Returns the checksum of the block as it was written.
  static std::uint32_t write_block(Column& column, std::int64_t block, FeatureBlock& data,
                                   const FeaturesProgress& progress) {
    column.source->load_block(block, data);
    copy_rows(data, column.out.mutable_data<float>() + data.first_row * column.source->dim());
    const std::uint32_t sum = progress.checksum(column.out, data.first_row, data.n_rows);
    column.out.flush(data.first_row, data.n_rows);
    return sum;
  }

  static void copy_rows(const FeatureBlock& block, float* out) {
    const std::int64_t length = block.window * block.frame_dim;
    for (const Run& run : block.runs) {
      for (std::int64_t i = 0; i < run.n_rows; ++i) {
        std::copy_n(block.frames.data() + (run.first_frame + i) * block.frame_dim, length,
                    out + (run.first_row + i) * length);
      }
    }
  }
  std::string rows(const std::string& name) const { return group_ + "/rows/" + name; }
  std::string lag_group(std::int64_t lag) const { return group_ + "/lag" + std::to_string(lag); }

  store::H5Writer& file_;
  const Options& options_;
  Storage storage_;
  std::string group_;
  const SampleIndex& index_;
  std::int64_t dim_;
};

void write_metadata(store::H5Writer& file, const Options& options, Storage storage, const Latents& latents,
                    const SplitPlan& plan) {
  file.attribute("/", "format", std::string("phase0-features"));
  file.attribute("/", "version", std::int64_t{1});
  file.attribute("/", "window_size", options.context.window_size);
  file.attribute("/", "lags", options.context.lags);
  file.attribute("/", "dim", latents.dim());
  file.attribute("/", "storage", std::string(storage == Storage::kDense ? "dense" : "window"));
  std::vector<std::string> ids;
  std::vector<std::int64_t> n_frames;
  std::vector<std::int64_t> speaker(plan.speaker.begin(), plan.speaker.end());
  std::vector<std::uint8_t> split;
  for (const auto& utterance : latents.utterances()) {
    ids.push_back(utterance.id);
    n_frames.push_back(utterance.n_frames);
  }
  for (const Split value : plan.split) split.push_back(static_cast<std::uint8_t>(value));
  const std::int64_t n = std::ssize(ids);
  file.write("/utterances/id", ids);
  file.write("/utterances/split", split, {n});
  file.write("/utterances/n_frames", n_frames, {n});
  file.write("/utterances/speaker", speaker, {n});
  file.write("/utterances/holdout", plan.holdout, {n});
  file.write("/speakers/name", plan.speaker_names);
}

}  // namespace

std::int64_t dense_bytes(const Options& options, std::int64_t n_rows, std::int64_t dim) {
  const std::int64_t values = core::checked_add(
      1, core::checked_mul(std::ssize(options.context.lags), options.context.window_size + 1));
  return core::checked_mul(core::checked_mul(n_rows, 4, "dense features"),
                           core::checked_mul(dim, values, "dense features"), "dense features");
}

Storage resolve_storage(const Options& options, std::int64_t n_rows, std::int64_t dim) {
  if (options.features.storage != Storage::kAuto) return options.features.storage;
  return dense_bytes(options, n_rows, dim) <= kDenseLimitBytes ? Storage::kDense : Storage::kWindow;
}

std::int64_t features_bytes(const Options& options, std::int64_t n_rows, std::int64_t dim,
                            const Latents& latents) {
  // Page alignment and HDF5's own structures.
  constexpr std::int64_t kMetadataBytes = std::int64_t{1} << 20;
  std::int64_t bytes = kMetadataBytes + n_rows * kRowBytes;
  for (const auto& utterance : latents.utterances()) bytes += 64 + std::ssize(utterance.id);
  if (resolve_storage(options, n_rows, dim) == Storage::kDense) bytes += dense_bytes(options, n_rows, dim);
  if (!latents.mappable()) {
    bytes += latents.n_frames() * staged_codec(latents).row_bytes();
  }
  return bytes;
}

WriteMemory write_features_memory(const Options& options, const Latents& latents, const SplitPlan& plan) {
  WriteMemory memory;
  if (!latents.mappable()) memory.staging_bytes = staging_bytes(latents);
  const SampleIndex train = plan.index(Split::kTrain, latents.utterances());
  const SampleIndex eval = plan.index(Split::kEval, latents.utterances());
  const Storage storage = resolve_storage(options, train.n_rows() + eval.n_rows(), latents.dim());
  const std::int64_t frame_bytes = staged_codec(latents).row_bytes();
  for (const SampleIndex* index : {&train, &eval}) {
    memory.rows_bytes = std::max(memory.rows_bytes, rows_bytes(*index, latents));
    if (storage != Storage::kDense) continue;
    const core::ScanNeed need = dense_need(*index, options.context.window_size, latents.dim(), frame_bytes);
    if (need.minimum_bytes() > memory.dense.minimum_bytes()) memory.dense = need;
    memory.dense_blocks =
        std::max(memory.dense_blocks, core::ceil_div(index->n_rows(), canonical_block_rows(latents.dim())));
  }
  return memory;
}

namespace {

/// The frames where they lie, or staged in the features file.
FrameMatrix frames_of(const Latents& latents, store::H5Writer& file, core::Execution& execution,
                      FeaturesProgress& progress) {
  if (latents.mappable()) return {latents.map_frames(), latents.codec()};
  store::MappedDataset staged = file.map("/frames");
  const std::int64_t begin = progress.resume("/frames", "staging frames", staged.rows());
  if (begin < staged.rows()) {
    stage_frames(latents, begin, staged, execution, [&](std::int64_t first, std::int64_t n) {
      progress.finish("/frames", staged, first, n);
      progress.save_when_due();
    });
  }
  return {staged, staged_codec(latents)};
}

}  // namespace

void write_features(const std::string& path, const Options& options, const Latents& latents,
                    const SplitPlan& plan, core::Execution& execution, const std::string& progress_key) {
  const SampleIndex train = plan.index(Split::kTrain, latents.utterances());
  const SampleIndex eval = plan.index(Split::kEval, latents.utterances());
  const Storage storage = resolve_storage(options, train.n_rows() + eval.n_rows(), latents.dim());
  std::optional<double> median;
  if (latents.has_energy()) median = median_energy(latents, plan, execution, progress_key);

  FeaturesProgress progress(execution, progress_key);
  store::H5Writer file(path, progress.found() ? store::Leftover::kResume : store::Leftover::kReplace);
  write_metadata(file, options, storage, latents, plan);
  if (median) file.attribute("/", "energy_median", *median);
  SplitWriter train_writer(file, options, storage, Split::kTrain, train, latents.dim());
  SplitWriter eval_writer(file, options, storage, Split::kEval, eval, latents.dim());
  if (!latents.mappable()) declare_rows(file, "/frames", staged_codec(latents), latents.n_frames());
  const bool resumed = file.begin_streaming();
  try {
    progress.begin(file, resumed);
    const FrameMatrix frames = frames_of(latents, file, execution, progress);
    for (SplitWriter* writer : {&train_writer, &eval_writer}) {
      writer->write_rows(latents, median, execution, progress);
      writer->write_dense(frames, execution, progress);
    }
    file.commit();
  } catch (...) {
    progress.stop();
    throw;
  }
}

}  // namespace phase0::data
