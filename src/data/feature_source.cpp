#include "data/feature_source.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/check.h"
#include "data/wanted_rows.h"
#include "linalg/kernels.h"
#include "store/read_ahead.h"

namespace phase0::data {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{2} << 20;
constexpr std::int64_t kMinBlockRows = 64;
constexpr std::int64_t kMaxBlockRows = 16384;

/// Most frames that a canonical block of rows gathers when each row needs `span` frames.
std::int64_t max_block_frames(const SampleIndex& index, std::int64_t block_rows, std::int64_t span) {
  std::int64_t most = 0;
  for (std::int64_t first = 0; first < index.n_rows(); first += block_rows) {
    const std::int64_t n = std::min(block_rows, index.n_rows() - first);
    const std::int64_t runs = index.find(first + n - 1) - index.find(first) + 1;
    most = std::max(most, n + runs * (span - 1));
  }
  return most;
}

SourceShape gathered_shape(const SampleIndex& index, std::int64_t window, std::int64_t span, std::int64_t dim,
                           std::int64_t frame_bytes) {
  const std::int64_t rows = canonical_block_rows(dim);
  const std::int64_t frames = max_block_frames(index, rows, span);
  return {index.n_rows(),
          window,
          dim,
          rows,
          frames * dim * kFloatBytes,
          store::ReadAhead::held_bytes(frames * frame_bytes),
          false};
}

/// The frames that a row is computed from, and where it belongs.
struct Window {
  std::int32_t first_frame = 0;  ///< of those of a run of rows
  std::int32_t row = 0;          ///< of the matrix
};

/// Of a source whose rows need `span` frames, in all lanes together. It holds those of one utterance at a
/// time.
SourceShape computed_shape(const SampleIndex& index, std::int64_t span, std::int64_t lanes, std::int64_t dim,
                           std::int64_t frame_bytes) {
  SourceShape shape = gathered_shape(index, 1, span, dim, frame_bytes);
  std::int64_t longest = 0;
  for (const auto& utterance : index.utterances()) longest = std::max(longest, utterance.n_rows);
  shape.block_bytes = (std::min(shape.block_rows, longest) + span - 1) * dim * kFloatBytes;
  shape.n_rows *= lanes;
  shape.block_rows *= lanes;
  shape.block_bytes += std::min(shape.block_rows, shape.n_rows) *
                       (dim * kFloatBytes + static_cast<std::int64_t>(sizeof(Window) + sizeof(std::int32_t)));
  shape.computed = true;
  shape.lanes = lanes;
  return shape;
}

/// Features computed from the frames around each row: row t needs frames t - back .. t - back + span - 1, of
/// which each lane may use some.
class FrameSource : public FeatureSource {
 public:
  FrameSource(FrameMatrix frames, const SampleIndex& index, std::int64_t window, std::int64_t back,
              std::int64_t span, std::int64_t lanes = 1)
      : FeatureSource(lanes * index.n_rows(), window, frames.dim(), lanes),
        frames_(std::move(frames)),
        index_(index),
        back_(back),
        span_(span) {
    for (const auto& u : index.utterances()) PHASE0_CHECK(u.first_t >= back && span - back <= 1);
  }

  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const override {
    for_each_run(first / lanes(), n / lanes(), [&](std::int64_t frame, std::int64_t, std::int64_t rows) {
      frames_.read_ahead(frame, rows + span_ - 1, limit_bytes);
    });
  }
  void drop_ahead() const override { frames_.drop_ahead(); }

 protected:
  /// Calls `visit(first_frame, first_row_of_the_run, n_rows)` for the part of each utterance inside the rows,
  /// which are those of one lane.
  template <typename Visit>
  void for_each_run(std::int64_t first, std::int64_t n, const Visit& visit) const {
    if (n <= 0) return;
    PHASE0_CHECK(first >= 0 && first + n <= index_.n_rows());
    const auto& utterances = index_.utterances();
    for (std::int64_t u = index_.find(first); n > 0; ++u) {
      const UtteranceRows& rows = utterances[static_cast<std::size_t>(u)];
      const std::int64_t skip = first - rows.first_row;
      const std::int64_t count = std::min(n, rows.n_rows - skip);
      visit(rows.frame_offset + rows.first_t + skip - back_, first, count);
      first += count;
      n -= count;
    }
  }
  /// The frames of the rows, run behind run, into `frames`; fills `runs` and returns the number of frames.
  std::int64_t gather(std::int64_t first, std::int64_t n, core::AlignedBuffer<float>& frames,
                      std::vector<Run>& runs) const {
    runs.clear();
    std::int64_t n_frames = 0;
    for_each_run(first, n, [&](std::int64_t, std::int64_t row, std::int64_t rows) {
      runs.push_back({row - first, rows, n_frames});
      n_frames += rows + span_ - 1;
    });
    frames.resize(n_frames * frame_dim());
    auto run = runs.begin();
    for_each_run(first, n, [&](std::int64_t frame, std::int64_t, std::int64_t rows) {
      frames_.load(frame, rows + span_ - 1, frames.data() + run->first_frame * frame_dim());
      ++run;
    });
    return n_frames;
  }
  const FrameMatrix& frames() const { return frames_; }
  std::int64_t span() const { return span_; }
  const SampleIndex& index() const { return index_; }
  std::int64_t frame_bytes() const { return frames_.row_bytes(); }

 private:
  FrameMatrix frames_;
  const SampleIndex& index_;
  std::int64_t back_;
  std::int64_t span_;
};

class FlatSource final : public FrameSource {
 public:
  FlatSource(FrameMatrix frames, const SampleIndex& index, std::int64_t window, std::int64_t lag)
      : FrameSource(std::move(frames), index, window, lag + window - 1, window) {}

  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    out.first_row = first;
    out.n_rows = n;
    out.window = window();
    out.frame_dim = frame_dim();
    out.n_frames = gather(first, n, out.frames, out.runs);
  }
  std::int64_t block_bytes() const override {
    return flat_shape(index(), window(), frame_dim(), frame_bytes()).block_bytes;
  }
  std::int64_t ahead_bytes() const override {
    return flat_shape(index(), window(), frame_dim(), frame_bytes()).ahead_bytes;
  }
};

/// A source whose rows are computed from `width` frames each; the result is a plain matrix. Row t of a lane
/// needs those from frame t - back + offset of the lane on.
template <typename RowFunction>
class ComputedSource final : public FrameSource {
 public:
  ComputedSource(FrameMatrix frames, const SampleIndex& index, std::int64_t back, std::int64_t width,
                 std::vector<std::int64_t> offsets, RowFunction row)
      : FrameSource(std::move(frames), index, 1, back,
                    width + *std::max_element(offsets.begin(), offsets.end()), std::ssize(offsets)),
        width_(width),
        offsets_(std::move(offsets)),
        row_(row) {}

  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    if (lanes() > 1) {
      std::vector<std::int32_t> all(as_size(n));
      std::iota(all.begin(), all.end(), 0);
      return load_rows(first, n, all, true, out);
    }
    begin_matrix(first, n, n, out);
    for_each_run(first, n, [&](std::int64_t frame, std::int64_t row, std::int64_t rows) {
      load_frames(frame, rows + span() - 1, out);
      for (std::int64_t i = 0; i < rows; ++i) compute(i, row - first + i, out);
    });
  }
  void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                 bool were_read_ahead, FeatureBlock& out) const override {
    PHASE0_CHECK(lanes() == 1 || (first % block_rows() == 0 && n == block_size(first / block_rows())));
    begin_matrix(first, n, std::ssize(wanted), out);
    if (wanted.empty() && !were_read_ahead) return;
    std::vector<Window> windows;
    windows.reserve(wanted.size());
    const std::int64_t first_row = first / lanes();
    for_each_run(first_row, n / lanes(), [&](std::int64_t frame, std::int64_t row, std::int64_t rows) {
      find_windows(wanted, n / lanes(), row - first_row, rows, windows);
      if (were_read_ahead) {
        load_frames(frame, rows + span() - 1, out);
        compute(windows, 0, out);
      } else {
        const auto place = [](const Window& window) { return window.first_frame; };
        const std::int64_t nearby = width_ - 1 + nearby_rows(frame_bytes());
        for_each_piece(std::span<const Window>(windows), place, nearby, [&](std::span<const Window> piece) {
          const std::int64_t begin = piece.front().first_frame;
          load_frames(frame + begin, piece.back().first_frame - begin + width_, out);
          compute(piece, begin, out);
        });
      }
    });
  }
  std::int64_t block_bytes() const override { return computed_shape().block_bytes; }
  std::int64_t ahead_bytes() const override { return computed_shape().ahead_bytes; }
  bool computed() const override { return true; }

 private:
  SourceShape computed_shape() const {
    return data::computed_shape(index(), span(), lanes(), frame_dim(), frame_bytes());
  }

  /// Of the wanted rows those of the run of `rows` rows that begins with row `skip` of each lane, by their
  /// first frames. A lane has `of_lane` rows.
  void find_windows(std::span<const std::int32_t> wanted, std::int64_t of_lane, std::int64_t skip,
                    std::int64_t rows, std::vector<Window>& windows) const {
    windows.clear();
    for (std::int64_t lane = 0; lane < lanes(); ++lane) {
      const std::int64_t begin = lane * of_lane + skip;
      auto at = std::lower_bound(wanted.begin(), wanted.end(), begin);
      for (; at != wanted.end() && *at < begin + rows; ++at) {
        windows.push_back({static_cast<std::int32_t>(*at - begin + offsets_[as_size(lane)]),
                           static_cast<std::int32_t>(at - wanted.begin())});
      }
    }
    if (lanes() == 1) return;
    std::sort(windows.begin(), windows.end(), [](const Window& a, const Window& b) {
      return a.first_frame != b.first_frame ? a.first_frame < b.first_frame : a.row < b.row;
    });
  }

  /// Frames [frame, frame + n), to be computed from.
  void load_frames(std::int64_t frame, std::int64_t n, FeatureBlock& out) const {
    out.staging.resize(n * frame_dim());
    frames().load(frame, n, out.staging.data());
  }
  /// Rows from the loaded frames, the first of which has number `begin`.
  void compute(std::span<const Window> windows, std::int64_t begin, FeatureBlock& out) const {
    const Window* before = nullptr;
    for (const Window& window : windows) {
      if (before != nullptr && before->first_frame == window.first_frame) {
        std::copy_n(row(before->row, out), frame_dim(), row(window.row, out));
      } else {
        compute(window.first_frame - begin, window.row, out);
      }
      before = &window;
    }
  }
  /// Row `to` of the matrix, from the frames that begin with number `first` of those loaded.
  void compute(std::int64_t first, std::int64_t to, FeatureBlock& out) const {
    row_(out.staging.data() + first * frame_dim(), width_, frame_dim(), row(to, out));
  }
  float* row(std::int64_t r, FeatureBlock& out) const { return out.frames.data() + r * frame_dim(); }

  std::int64_t width_;
  std::vector<std::int64_t> offsets_;  ///< per lane
  RowFunction row_;
};

void mean_row(const float* frames, std::int64_t span, std::int64_t dim, float* out) {
  linalg::kernels().mean_rows(frames, span, dim, out);
}

void delta_row(const float* frames, std::int64_t /*span*/, std::int64_t dim, float* out) {
  for (std::int64_t j = 0; j < dim; ++j) out[j] = frames[dim + j] - frames[j];
}

}  // namespace

std::int64_t canonical_block_rows(std::int64_t frame_dim) {
  PHASE0_CHECK(frame_dim >= 1);
  const auto rows =
      static_cast<std::uint64_t>(std::max<std::int64_t>(kBlockBytes / kFloatBytes / frame_dim, 1));
  return std::clamp(static_cast<std::int64_t>(std::bit_floor(rows)), kMinBlockRows, kMaxBlockRows);
}

FeatureSource::FeatureSource(std::int64_t n_rows, std::int64_t window, std::int64_t frame_dim,
                             std::int64_t lanes)
    : n_rows_(n_rows),
      window_(window),
      frame_dim_(frame_dim),
      lanes_(lanes),
      block_rows_(lanes * canonical_block_rows(frame_dim)) {}

std::int64_t FeatureSource::block_size(std::int64_t block) const {
  return std::min(block_rows_, n_rows_ - block_first(block));
}

void FeatureSource::begin_matrix(std::int64_t first, std::int64_t n, std::int64_t n_wanted,
                                 FeatureBlock& out) const {
  out.frames.resize(n * frame_dim_);
  out.view = nullptr;
  out.runs.assign(1, {0, n_wanted, 0});
  out.first_row = first;
  out.n_rows = out.n_frames = n_wanted;
  out.window = 1;
  out.frame_dim = frame_dim_;
}

void FeatureSource::load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                              bool /*were_read_ahead*/, FeatureBlock& out) const {
  PHASE0_CHECK(window_ == 1);
  load(first, n, out);
  pack_rows(wanted, 0, frame_dim_, out.frames.data());
  begin_matrix(first, n, std::ssize(wanted), out);
}

SourceShape flat_shape(const SampleIndex& index, std::int64_t window, std::int64_t dim,
                       std::int64_t frame_bytes) {
  return gathered_shape(index, window, window, dim, frame_bytes);
}

SourceShape means_shape(const SampleIndex& index, std::int64_t window, const std::vector<std::int64_t>& lags,
                        std::int64_t dim, std::int64_t frame_bytes) {
  const auto [least, most] = std::minmax_element(lags.begin(), lags.end());
  return computed_shape(index, window + *most - *least, std::ssize(lags), dim, frame_bytes);
}

SourceShape delta_shape(const SampleIndex& index, std::int64_t dim, std::int64_t frame_bytes) {
  return computed_shape(index, 2, 1, dim, frame_bytes);
}

std::unique_ptr<FeatureSource> flat_source(FrameMatrix frames, const SampleIndex& index, std::int64_t window,
                                           std::int64_t lag) {
  return std::make_unique<FlatSource>(std::move(frames), index, window, lag);
}

std::unique_ptr<FeatureSource> means_source(FrameMatrix frames, const SampleIndex& index, std::int64_t window,
                                            const std::vector<std::int64_t>& lags) {
  const std::int64_t most = *std::max_element(lags.begin(), lags.end());
  std::vector<std::int64_t> offsets;
  for (const std::int64_t lag : lags) offsets.push_back(most - lag);
  return std::make_unique<ComputedSource<decltype(&mean_row)>>(std::move(frames), index, most + window - 1,
                                                               window, std::move(offsets), &mean_row);
}

std::unique_ptr<FeatureSource> delta_source(FrameMatrix frames, const SampleIndex& index) {
  return std::make_unique<ComputedSource<decltype(&delta_row)>>(std::move(frames), index, 1, 2,
                                                                std::vector<std::int64_t>{0}, &delta_row);
}

}  // namespace phase0::data
