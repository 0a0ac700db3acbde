#include <algorithm>

#include "core/check.h"
#include "data/features_file.h"

namespace phase0::data {
std::string split_group(Split split) {
  return split == Split::kTrain ? "/train" : "/eval";
}

Samples::Samples(const std::string& features_path, const std::string& latents_path)
    : file_(features_path, ErrorKind::kStorage) {
  if (!file_.has_attribute("/", "format") || file_.read_string("/", "format") != "phase0-features" ||
      file_.read_int("/", "version") != 1) {
    throw Error(ErrorKind::kStorage, "not a features file of this version; run collect again",
                {features_path});
  }
  window_ = file_.read_int("/", "window_size");
  dim_ = file_.read_int("/", "dim");
  lags_ = file_.read_ints("/", "lags");
  storage_ = file_.read_string("/", "storage") == "dense" ? Storage::kDense : Storage::kWindow;
  speaker_names_ = file_.read_string_dataset("/speakers/name");
  split_of_ = file_.read_int_dataset("/utterances/split");
  ContextOptions context;
  context.window_size = window_;
  context.lags = lags_;
  train_ = read_index(Split::kTrain, first_row_t(context));
  eval_ = read_index(Split::kEval, first_row_t(context));
  if (storage_ == Storage::kDense) return;
  if (file_.exists("/frames")) {
    if (is_quantised(file_, "/frames")) {
      RowCodec codec = read_quantised(file_, "/frames", ErrorKind::kStorage);
      frames_ = FrameMatrix(file_.map("/frames", codec.stored_type()), codec);
    } else {
      const auto type = file_.info("/frames").type.value_or(store::ElementType::kFloat32);
      frames_ = FrameMatrix(file_.map("/frames", type));
    }
  } else {
    const Latents latents = Latents::open(latents_path);
    std::int64_t n_frames = 0;
    for (const std::int64_t n : file_.read_int_dataset("/utterances/n_frames")) n_frames += n;
    if (!latents.mappable() || latents.n_frames() != n_frames || latents.dim() != dim_) {
      throw Error(ErrorKind::kData,
                  "the input is not the one that the samples were collected from; run collect again",
                  {latents_path});
    }
    frames_ = FrameMatrix(latents.map_frames(), latents.codec());
  }
}

SampleIndex Samples::read_index(Split split, std::int64_t first_t) const {
  const auto n_frames = file_.read_int_dataset("/utterances/n_frames");
  const auto speaker = file_.read_int_dataset("/utterances/speaker");
  const auto holdout = file_.read_int_dataset("/utterances/holdout");
  std::vector<UtteranceRows> rows;
  std::int64_t offset = 0;
  for (std::size_t u = 0; u < n_frames.size(); ++u) {
    if (split_of_[u] == static_cast<std::int64_t>(split) && n_frames[u] > first_t) {
      UtteranceRows entry;
      entry.utterance = static_cast<std::int32_t>(u);
      entry.speaker = static_cast<std::int32_t>(speaker[u]);
      entry.frame_offset = offset;
      entry.n_frames = n_frames[u];
      entry.n_rows = n_frames[u] - first_t;
      entry.first_t = first_t;
      entry.holdout = holdout[u] != 0;
      rows.push_back(entry);
    }
    offset += n_frames[u];
  }
  return SampleIndex(std::move(rows));
}

std::int64_t Samples::n_utterances(Split split) const {
  return std::count(split_of_.begin(), split_of_.end(), static_cast<std::int64_t>(split));
}

std::unique_ptr<FeatureSource> Samples::stored(Split split, const std::string& name) const {
  return matrix_source(file_.map(split_group(split) + name, store::ElementType::kFloat32));
}

std::unique_ptr<FeatureSource> Samples::delta(Split split) const {
  return storage_ == Storage::kDense ? stored(split, "/delta") : delta_source(frames_, index(split));
}

std::unique_ptr<FeatureSource> Samples::mean(Split split, std::int64_t lag) const {
  if (storage_ == Storage::kDense) return stored(split, "/lag" + std::to_string(lag) + "/mean");
  return means_source(frames_, index(split), window_, {lag});
}

std::unique_ptr<FeatureSource> Samples::means(const SampleIndex& rows,
                                              const std::vector<std::int64_t>& lags) const {
  PHASE0_CHECK(storage_ == Storage::kWindow);
  return means_source(frames_, rows, window_, lags);
}

std::unique_ptr<FeatureSource> Samples::flat(Split split, std::int64_t first_lag,
                                             std::int64_t last_lag) const {
  PHASE0_CHECK(last_lag == first_lag || (storage_ == Storage::kWindow && last_lag > first_lag));
  if (storage_ == Storage::kDense) return stored(split, "/lag" + std::to_string(first_lag) + "/flat");
  return flat_source(frames_, index(split), window_ + last_lag - first_lag, first_lag);
}

store::MappedDataset Samples::high_energy(Split split) const {
  return file_.map(split_group(split) + "/rows/high_energy", store::ElementType::kUInt8);
}

}  // namespace phase0::data
