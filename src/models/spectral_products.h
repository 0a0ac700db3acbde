#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/byte_stream.h"
#include "core/threads.h"
#include "data/feature_source.h"

namespace phase0::models {

/// Sums of x[t] x[t + k]^T over the rows of all runs, k = 0 .. n_differences - 1, where x[t] is a row's first
/// frame: an autocorrelation along time, by the discrete Fourier transform of short segments.
///
/// A segment, followed by n_differences - 1 zeros so that nothing wraps around, has the spectrum X(f) = A +
/// iB; its products for all differences together are the inverse transform of X(f)* X(f)^T. So the sums over
/// all segments take A^T A + B^T B, which is symmetric, and A^T B for each of about half as many frequencies
/// as frames, whatever the number of differences, instead of a product for every difference. Pairs of frames
/// on either side of a segment's end are added by themselves.
///
/// The frequencies are in kBands bands, each summed up for itself, so that a scan may take some of them and
/// the next one others, with the same bits. Products are float32 and are moved into float64 now and then: the
/// error is some 1e-7 of the product of the two values' norms, several times that of a product for every
/// difference. So components of far less than 1e-6 of the total variance are lost in it.
class SpectralProducts {
 public:
  static constexpr int kBands = 3;
  /// Whether this is worth more than a product per difference; depends on the shape alone.
  static bool suits(std::int64_t n_differences, std::int64_t d);

  SpectralProducts(std::int64_t n_differences, std::int64_t d);

  /// Begins a scan that takes bands [first, end): all bands one after the other, in as many scans as need be.
  void begin_scan(int first_band, int end_band);
  /// Blocks in row order, after those of earlier calls, of at least n_differences frames a window. Their
  /// frames are near zero mean, which saves digits.
  void add(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool);
  void end_scan(core::ThreadPool& pool);

  /// Everything so far, at any time, for another of the same shape to go on from, in the same scan or just
  /// before it.
  void save(core::ByteSink& sink) const;
  /// Throws Error (kStorage) for another shape.
  void load(core::ByteSource& source);

  /// Product k [d, d], after the scan of the last band.
  const double* product(std::int64_t k) const { return products_.data() + k * d_ * d_; }

  /// Products of d x d values that a row costs.
  static double products_per_row(std::int64_t n_differences);
  /// What is held with so many bands in a scan, with 0 after the last one; and what every worker holds.
  static std::int64_t bytes(std::int64_t n_differences, std::int64_t d, int bands);
  static std::int64_t worker_bytes(std::int64_t n_differences, std::int64_t d);

 private:
  /// Frames that follow each other, [frame, frame + n) of a block, at `position` of a transform.
  struct Segment {
    std::int64_t frame = 0, n = 0, position = 0;
  };
  struct Transform {
    const data::FeatureBlock* block = nullptr;
    std::vector<Segment> segments;
  };
  /// A band's part of the sums, frequencies [first, end).
  struct Band {
    std::int64_t first = 0, end = 0;
    core::AlignedBuffer<float> spectra;   ///< [frequency, A and B, kTransforms, d]
    core::AlignedBuffer<float> products;  ///< [frequency, A^T A + B^T B and A^T B, d, d] since the last move
    core::AlignedBuffer<double> sums;     ///< [n_differences, d, d]
  };
  struct Workspace {
    core::AlignedBuffer<float> even, odd;  ///< [length / 2 + 1, d], [length / 2 - 1, d]
    core::AlignedBuffer<float> product;    ///< [kRowsAtOnce, d]
  };

  /// Of a frequency in the inverse transform.
  struct Weights {
    double cosine, sine;
  };

  static std::int64_t length_for(std::int64_t n_differences);
  bool is_real(std::int64_t frequency) const { return frequency == 0 || 2 * frequency == length_; }

  void cut(const data::FeatureBlock& block, std::vector<Transform>& transforms) const;
  void transform(const Transform& from, std::int64_t slot, Workspace& workspace);
  void add_spectra(core::ThreadPool& pool);
  void add_frequency(Band& band, std::int64_t frequency) const;
  void move_products(core::ThreadPool& pool);
  void move_tile(Band& band, std::int64_t row, std::int64_t column) const;
  void collect_ends(const Transform& transform, core::ThreadPool& pool);
  void add_ends(core::ThreadPool& pool);
  void add_ends_product(std::int64_t k, std::int64_t row, Workspace& workspace);

  std::int64_t n_differences_;
  std::int64_t d_;
  std::int64_t length_;                   ///< of a transform, a power of two
  core::AlignedBuffer<float> cosines_;    ///< [length / 2 + 1, length / 2 + 1]
  core::AlignedBuffer<float> sines_;      ///< [length / 2 + 1, length / 2 - 1]
  std::vector<Weights> inverse_;          ///< [n_differences, length / 2 + 1]
  core::AlignedBuffer<double> products_;  ///< [n_differences, d, d]
  std::vector<Band> bands_;               ///< of the scan
  std::int64_t n_transforms_ = 0;         ///< in the bands' spectra
  std::int64_t n_batches_ = 0;            ///< in the bands' products
  bool with_ends_ = false;                ///< the first scan adds them
  core::AlignedBuffer<float> ends_;       ///< [kEnds, 2 (n_differences - 1), d]: before and behind each end
  std::int64_t n_ends_ = 0;
  std::vector<Workspace> workspaces_;  ///< per worker
};

}  // namespace phase0::models
