#include "models/spectral_products.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/blas.h"

namespace phase0::models {
namespace {

// All of these are part of the result's bits.
constexpr std::int64_t kTransforms = 128;  ///< in a product
constexpr std::int64_t kBatches = 32;      ///< products in a float32 sum
constexpr std::int64_t kEnds = 256;        ///< in a product
constexpr std::int64_t kRowsAtOnce = 256;  ///< of a product of ends
constexpr std::int64_t kTile = 16;

constexpr std::int64_t kLeastDifferences = 4;
constexpr std::int64_t kLeastDimension = 64;
/// Beyond it the sums would take more memory than a plan can do without.
constexpr std::int64_t kMostBytes = std::int64_t{64} << 20;

std::int64_t n_frequencies(std::int64_t length) {
  return length / 2 + 1;
}
std::int64_t first_of_band(int band, std::int64_t length) {
  return band * n_frequencies(length) / SpectralProducts::kBands;
}

[[noreturn]] void refuse_other_bands() {
  throw Error(ErrorKind::kStorage, "was kept within another memory budget");
}

void add_row(const float* from, float sign, std::int64_t d, float* to) {
  for (std::int64_t j = 0; j < d; ++j) to[j] += sign * from[j];
}

}  // namespace

bool SpectralProducts::suits(std::int64_t n_differences, std::int64_t d) {
  return n_differences >= kLeastDifferences && d >= kLeastDimension &&
         static_cast<double>(n_differences) * static_cast<double>(d) * static_cast<double>(d) * 8 <=
             static_cast<double>(kMostBytes);
}

/// Longer ones are cut at fewer ends, and take memory for more frequencies.
std::int64_t SpectralProducts::length_for(std::int64_t n_differences) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(8 * (n_differences - 1))));
}

SpectralProducts::SpectralProducts(std::int64_t n_differences, std::int64_t d)
    : n_differences_(n_differences), d_(d), length_(length_for(n_differences)) {
  PHASE0_CHECK(suits(n_differences, d));
  const std::int64_t half = length_ / 2;
  cosines_.resize((half + 1) * (half + 1));
  sines_.resize((half + 1) * (half - 1));
  const auto angle = [&](std::int64_t f, std::int64_t t) {
    return 2 * std::numbers::pi * static_cast<double>(f * t % length_) / static_cast<double>(length_);
  };
  for (std::int64_t f = 0; f <= half; ++f) {
    for (std::int64_t t = 0; t <= half; ++t) {
      cosines_[f * (half + 1) + t] = static_cast<float>(std::cos(angle(f, t)));
      if (t > 0 && t < half) sines_[f * (half - 1) + t - 1] = static_cast<float>(-std::sin(angle(f, t)));
    }
  }
  for (std::int64_t k = 0; k < n_differences; ++k) {
    for (std::int64_t f = 0; f <= half; ++f) {
      // A frequency stands for its mirror image too.
      const double share = (is_real(f) ? 1.0 : 2.0) / static_cast<double>(length_);
      inverse_.push_back({share * std::cos(angle(f, k)), share * std::sin(angle(f, k))});
    }
  }
  products_.resize(n_differences * d * d);
  products_.fill(0.0);
  ends_.resize(kEnds * 2 * (n_differences - 1) * d);
}

std::int64_t SpectralProducts::bytes(std::int64_t n_differences, std::int64_t d, int bands) {
  const std::int64_t length = length_for(n_differences);
  const std::int64_t products = 8 * n_differences * d * d;
  if (bands == 0) return products;
  const std::int64_t frequency = 4 * 2 * d * (kTransforms + d);
  const std::int64_t most_frequencies = core::ceil_div(n_frequencies(length), kBands);
  const std::int64_t tables = 4 * length * length;
  const std::int64_t ends = 4 * kEnds * 2 * (n_differences - 1) * d;
  return products + bands * (products + most_frequencies * frequency) + tables + ends;
}

double SpectralProducts::products_per_row(std::int64_t n_differences) {
  const auto length = static_cast<double>(length_for(n_differences));
  const auto n = static_cast<double>(n_differences);
  // Of the frequencies, of the ends, and of the transform.
  return (length + n * (n - 1) / 2) / (length - n + 1);
}

std::int64_t SpectralProducts::worker_bytes(std::int64_t n_differences, std::int64_t d) {
  return 4 * d * (length_for(n_differences) + std::min(kRowsAtOnce, d));
}

void SpectralProducts::begin_scan(int first_band, int end_band) {
  PHASE0_CHECK(bands_.empty() && first_band < end_band && end_band <= kBands);
  with_ends_ = first_band == 0;
  bands_.resize(static_cast<std::size_t>(end_band - first_band));
  for (Band& band : bands_) {
    band.first = first_of_band(first_band, length_);
    band.end = first_of_band(++first_band, length_);
    const std::int64_t frequencies = band.end - band.first;
    band.spectra.resize(frequencies * 2 * kTransforms * d_);
    band.products.resize(frequencies * 2 * d_ * d_);
    band.products.fill(0.0f);
    band.sums.resize(products_.size());
    band.sums.fill(0.0);
  }
}

void SpectralProducts::add(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) {
  workspaces_.resize(static_cast<std::size_t>(pool.size()));
  std::vector<Transform> transforms;
  for (const auto& block : blocks) cut(block, transforms);
  const std::int64_t n = std::ssize(transforms);
  for (std::int64_t first = 0; first < n;) {
    const std::int64_t count = std::min(n - first, kTransforms - n_transforms_);
    pool.run(count, [&](std::int64_t i, int worker) {
      transform(transforms[static_cast<std::size_t>(first + i)], n_transforms_ + i,
                workspaces_[static_cast<std::size_t>(worker)]);
    });
    n_transforms_ += count;
    first += count;
    if (n_transforms_ == kTransforms) add_spectra(pool);
  }
  if (!with_ends_) return;
  for (const Transform& transform : transforms) collect_ends(transform, pool);
}

/// Segments of the rows' first frames. A block's transforms are its own, so that they depend on it alone.
void SpectralProducts::cut(const data::FeatureBlock& block, std::vector<Transform>& transforms) const {
  PHASE0_CHECK(block.window >= n_differences_ && block.frame_dim == d_);
  const std::int64_t zeros = n_differences_ - 1;
  std::int64_t position = length_;  // behind the end of a transform
  for (const auto& run : block.runs) {
    for (std::int64_t row = 0; row < run.n_rows;) {
      if (length_ - zeros - position < zeros) {  // too little is left to be worth another end
        transforms.push_back({&block, {}});
        position = 0;
      }
      const std::int64_t n = std::min(run.n_rows - row, length_ - zeros - position);
      transforms.back().segments.push_back({run.first_frame + row, n, position});
      position += n + zeros;
      row += n;
    }
  }
}

/// The spectrum of the frames is that of their even part, which is real, and their odd part, which is not.
void SpectralProducts::transform(const Transform& from, std::int64_t slot, Workspace& workspace) {
  const std::int64_t half = length_ / 2;
  workspace.even.resize((half + 1) * d_);
  workspace.even.fill(0.0f);
  workspace.odd.resize((half - 1) * d_);
  workspace.odd.fill(0.0f);
  for (const Segment& segment : from.segments) {
    for (std::int64_t i = 0; i < segment.n; ++i) {
      const float* frame = from.block->frames.data() + (segment.frame + i) * d_;
      const std::int64_t t = segment.position + i;
      const std::int64_t mirrored = std::min(t, length_ - t);
      add_row(frame, 1.0f, d_, workspace.even.data() + mirrored * d_);
      if (mirrored > 0 && mirrored < half) {
        add_row(frame, t < half ? 1.0f : -1.0f, d_, workspace.odd.data() + (mirrored - 1) * d_);
      }
    }
  }
  for (Band& band : bands_) {
    const std::int64_t n = band.end - band.first;
    float* spectra = band.spectra.data() + slot * d_;
    linalg::multiply_ab(n, d_, half + 1, cosines_.data() + band.first * (half + 1), half + 1,
                        workspace.even.data(), d_, spectra, 2 * kTransforms * d_);
    linalg::multiply_ab(n, d_, half - 1, sines_.data() + band.first * (half - 1), half - 1,
                        workspace.odd.data(), d_, spectra + kTransforms * d_, 2 * kTransforms * d_);
  }
}

void SpectralProducts::add_spectra(core::ThreadPool& pool) {
  std::vector<std::pair<Band*, std::int64_t>> frequencies;
  for (Band& band : bands_) {
    for (std::int64_t f = band.first; f < band.end; ++f) frequencies.emplace_back(&band, f);
  }
  pool.run(std::ssize(frequencies), [&](std::int64_t i, int) {
    const auto& [band, frequency] = frequencies[static_cast<std::size_t>(i)];
    add_frequency(*band, frequency);
  });
  n_transforms_ = 0;
  if (++n_batches_ == kBatches) move_products(pool);
}

void SpectralProducts::add_frequency(Band& band, std::int64_t frequency) const {
  const std::int64_t i = frequency - band.first;
  const float* a = band.spectra.data() + i * 2 * kTransforms * d_;
  const float* b = a + kTransforms * d_;
  float* squares = band.products.data() + i * 2 * d_ * d_;
  linalg::add_ata(d_, n_transforms_, a, d_, squares, d_);
  if (is_real(frequency)) return;
  linalg::add_ata(d_, n_transforms_, b, d_, squares, d_);
  linalg::add_atb(d_, d_, n_transforms_, a, d_, b, d_, squares + d_ * d_, d_);
}

void SpectralProducts::move_products(core::ThreadPool& pool) {
  const std::int64_t tiles = core::ceil_div(d_, kTile);
  pool.run(std::ssize(bands_) * tiles, [&](std::int64_t item, int) {
    const std::int64_t row = item % tiles;
    Band& band = bands_[static_cast<std::size_t>(item / tiles)];
    for (std::int64_t column = row; column < tiles; ++column) move_tile(band, row * kTile, column * kTile);
  });
  for (Band& band : bands_) band.products.fill(0.0f);
  n_batches_ = 0;
}

/// The inverse transform of a tile on the diagonal or right of it, and of the one opposite: with S = A^T A +
/// B^T B and T = A^T B - (A^T B)^T, difference k has the sum over the frequencies f of S cos(2 pi f k /
/// length) - T sin(2 pi f k / length), and its transpose the same with a plus.
void SpectralProducts::move_tile(Band& band, std::int64_t row, std::int64_t column) const {
  const std::int64_t rows = std::min(kTile, d_ - row);
  const std::int64_t columns = std::min(kTile, d_ - column);
  using Tile = std::array<std::array<double, kTile>, kTile>;
  for (std::int64_t k = 0; k < n_differences_; ++k) {
    Tile symmetric{};
    Tile skew{};
    for (std::int64_t f = band.first; f < band.end; ++f) {
      const float* squares = band.products.data() + (f - band.first) * 2 * d_ * d_;
      const float* mixed = squares + d_ * d_;
      const auto [cosine, sine] = inverse_[static_cast<std::size_t>(k * n_frequencies(length_) + f)];
      for (std::int64_t r = 0; r < rows; ++r) {
        auto& to = symmetric[static_cast<std::size_t>(r)];
        const float* from = squares + (row + r) * d_ + column;
        for (std::int64_t j = 0; j < columns; ++j) {
          to[static_cast<std::size_t>(j)] += cosine * static_cast<double>(from[j]);
        }
      }
      if (is_real(f)) continue;
      for (std::int64_t r = 0; r < rows; ++r) {
        auto& to = skew[static_cast<std::size_t>(r)];
        for (std::int64_t j = 0; j < columns; ++j) {
          to[static_cast<std::size_t>(j)] += sine * (static_cast<double>(mixed[(row + r) * d_ + column + j]) -
                                                     static_cast<double>(mixed[(column + j) * d_ + row + r]));
        }
      }
    }
    double* sums = band.sums.data() + k * d_ * d_;
    for (std::int64_t r = 0; r < rows; ++r) {
      // On the diagonal tile the other half follows from this one.
      for (std::int64_t j = row == column ? r : 0; j < columns; ++j) {
        const double even = symmetric[static_cast<std::size_t>(r)][static_cast<std::size_t>(j)];
        const double odd = skew[static_cast<std::size_t>(r)][static_cast<std::size_t>(j)];
        sums[(row + r) * d_ + column + j] += even - odd;
        if (row + r != column + j) sums[(column + j) * d_ + row + r] += even + odd;
      }
    }
  }
}

void SpectralProducts::collect_ends(const Transform& transform, core::ThreadPool& pool) {
  const std::int64_t side = n_differences_ - 1;
  for (const Segment& segment : transform.segments) {
    const float* end = transform.block->frames.data() + (segment.frame + segment.n) * d_;
    const std::int64_t before = std::min(side, segment.n);
    float* out = ends_.data() + n_ends_ * 2 * side * d_;
    std::fill_n(out, (side - before) * d_, 0.0f);
    std::copy_n(end - before * d_, (before + side) * d_, out + (side - before) * d_);
    if (++n_ends_ == kEnds) add_ends(pool);
  }
}

void SpectralProducts::add_ends(core::ThreadPool& pool) {
  const std::int64_t panels = core::ceil_div(d_, kRowsAtOnce);
  pool.run((n_differences_ - 1) * panels, [&](std::int64_t item, int worker) {
    // The largest first.
    add_ends_product(n_differences_ - 1 - item / panels, item % panels * kRowsAtOnce,
                     workspaces_[static_cast<std::size_t>(worker)]);
  });
  n_ends_ = 0;
}

/// Pairs of frames k apart with an end between them.
void SpectralProducts::add_ends_product(std::int64_t k, std::int64_t row, Workspace& workspace) {
  const std::int64_t rows = std::min(kRowsAtOnce, d_ - row);
  const std::int64_t side = n_differences_ - 1;
  workspace.product.resize(rows * d_);
  workspace.product.fill(0.0f);
  for (std::int64_t i = 1; i <= k; ++i) {
    const float* before = ends_.data() + (side - i) * d_;
    linalg::add_atb(rows, d_, n_ends_, before + row, 2 * side * d_, before + k * d_, 2 * side * d_,
                    workspace.product.data(), d_);
  }
  double* sums = products_.data() + (k * d_ + row) * d_;
  for (std::int64_t i = 0; i < rows * d_; ++i) sums[i] += static_cast<double>(workspace.product[i]);
}

void SpectralProducts::end_scan(core::ThreadPool& pool) {
  workspaces_.resize(static_cast<std::size_t>(pool.size()));
  add_spectra(pool);
  if (n_batches_ > 0) move_products(pool);
  if (with_ends_) add_ends(pool);
  for (const Band& band : bands_) {
    for (std::int64_t i = 0; i < products_.size(); ++i) products_[i] += band.sums[i];
  }
  const bool is_last = bands_.back().end == n_frequencies(length_);
  bands_.clear();
  workspaces_.clear();
  if (is_last) ends_ = {};
}

void SpectralProducts::save(core::ByteSink& sink) const {
  sink.put(with_ends_);
  sink.put(n_transforms_);
  sink.put(n_batches_);
  sink.put(n_ends_);
  sink.put_all(products_.span());
  sink.put(ends_.size() > 0);
  if (ends_.size() > 0) sink.put_all(ends_.span());
  sink.put(std::ssize(bands_));
  for (const Band& band : bands_) {
    sink.put(band.first);
    sink.put(band.end);
    sink.put_all(band.spectra.span());
    sink.put_all(band.products.span());
    sink.put_all(band.sums.span());
  }
}

void SpectralProducts::load(core::ByteSource& source) {
  with_ends_ = source.get<bool>();
  n_transforms_ = source.get<std::int64_t>();
  n_batches_ = source.get<std::int64_t>();
  n_ends_ = source.get<std::int64_t>();
  source.get_into(products_.span());
  const bool has_ends = source.get<bool>();
  const auto within = [](std::int64_t n, std::int64_t limit) { return n >= 0 && n < limit; };
  if (!within(n_transforms_, kTransforms) || !within(n_batches_, kBatches) || !within(n_ends_, kEnds) ||
      (with_ends_ && !has_ends)) {
    throw Error(ErrorKind::kStorage, "is not the progress of these products");
  }
  if (has_ends) {
    source.get_into(ends_.span());
  } else {
    ends_ = {};
  }
  if (source.get<std::int64_t>() != std::ssize(bands_)) refuse_other_bands();
  for (Band& band : bands_) {
    if (source.get<std::int64_t>() != band.first || source.get<std::int64_t>() != band.end)
      refuse_other_bands();
    source.get_into(band.spectra.span());
    source.get_into(band.products.span());
    source.get_into(band.sums.span());
  }
}

}  // namespace phase0::models
