#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"
#include "data/latents.h"
#include "data/sample_index.h"
#include "data/splits.h"
#include "phase0/options.h"
#include "store/h5_reader.h"

namespace phase0::data {

/// The storage that `auto` stands for: dense while all dense datasets together take at most 1 GiB.
Storage resolve_storage(const Options& options, std::int64_t n_rows, std::int64_t dim);
/// Bytes of the dense datasets (delta, and mean and flat of every lag) of both splits.
std::int64_t dense_bytes(const Options& options, std::int64_t n_rows, std::int64_t dim);
/// Bytes of features.h5: rows, dense datasets, staged frames.
std::int64_t features_bytes(const Options& options, std::int64_t n_rows, std::int64_t dim,
                            const Latents& latents);

/// Streams features.h5 (spec: data/FORMAT.md) for a split plan; the file appears complete or not at all. What
/// is finished is kept in execution.units now and then and gone on from under the same `progress_key`, a
/// fingerprint of all that the file depends on; with the partial file, unless nothing was kept.
void write_features(const std::string& path, const Options& options, const Latents& latents,
                    const SplitPlan& plan, core::Execution& execution, const std::string& progress_key);

/// The HDF5 group of a split.
std::string split_group(Split split);

/// Workers that write dense features, at most: each holds a block of every kind and its pages of the file,
/// and more do not make the disk faster.
inline constexpr int kDenseWriters = 4;

/// Memory of the parts of write_features, which follow one another.
struct WriteMemory {
  std::int64_t staging_bytes = 0;  ///< 0 when the frames are used in place
  std::int64_t rows_bytes = 0;     ///< median energy and row index
  core::ScanNeed dense;            ///< nothing with storage window
  std::int64_t dense_blocks = 0;
};
WriteMemory write_features_memory(const Options& options, const Latents& latents, const SplitPlan& plan);

/// features.h5, open for reading. Sources refer to this object, which must outlive them. Thread-safe once
/// open.
class Samples {
 public:
  /// `latents_path` holds the frames when features.h5 does not. Throws Error (kStorage) for a file that
  /// phase0 did not write, kData when the latents changed under it.
  Samples(const std::string& features_path, const std::string& latents_path);

  std::int64_t file_bytes() const { return file_.file_bytes(); }
  std::int64_t window() const { return window_; }
  std::int64_t dim() const { return dim_; }
  const std::vector<std::int64_t>& lags() const { return lags_; }
  Storage storage() const { return storage_; }
  /// Memory of the tables of quantised frames.
  std::int64_t table_bytes() const { return frames_.codec().table_bytes(); }
  const std::vector<std::string>& speaker_names() const { return speaker_names_; }
  /// Kept utterances of a split, those without rows included.
  std::int64_t n_utterances(Split split) const;
  /// Of the whole input.
  std::int64_t n_utterances_in_all() const { return std::ssize(split_of_); }
  const SampleIndex& index(Split split) const { return split == Split::kTrain ? train_ : eval_; }
  std::int64_t n_rows() const { return train_.n_rows() + eval_.n_rows(); }

  std::unique_ptr<FeatureSource> delta(Split split) const;
  std::unique_ptr<FeatureSource> mean(Split split, std::int64_t lag) const;
  /// `mean` of several lags as lanes, for some rows (`rows` outlives it); not with storage dense.
  std::unique_ptr<FeatureSource> means(const SampleIndex& rows, const std::vector<std::int64_t>& lags) const;
  /// Rows of window + last_lag - first_lag frames, which hold the contexts of all lags between; not with
  /// storage dense, which has each context by itself.
  std::unique_ptr<FeatureSource> flat(Split split, std::int64_t first_lag, std::int64_t last_lag) const;
  /// uint8 [N]
  store::MappedDataset high_energy(Split split) const;

 private:
  std::unique_ptr<FeatureSource> stored(Split split, const std::string& name) const;
  SampleIndex read_index(Split split, std::int64_t first_t) const;

  store::H5Reader file_;
  std::int64_t window_ = 0;
  std::int64_t dim_ = 0;
  std::vector<std::int64_t> lags_;
  Storage storage_ = Storage::kWindow;
  std::vector<std::string> speaker_names_;
  std::vector<std::int64_t> split_of_;  ///< per utterance
  SampleIndex train_;
  SampleIndex eval_;
  FrameMatrix frames_;
};

}  // namespace phase0::data
