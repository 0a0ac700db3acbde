#pragma once

#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "models/gram_layout.h"
#include "models/windowed_gram.h"
#include "store/mapped.h"

namespace phase0::models {

/// A covariance of windows as an operator: its panels, in memory when they are one group, else in a scratch
/// file of which one group at a time is resident. Results do not depend on the groups.
class WindowedCovariance {
 public:
  /// `groups` cut the layout's panels from first to last. With more than one, space for all panels is
  /// reserved in a scratch file of `scratch_folder`; throws Error (kStorage).
  WindowedCovariance(const GramLayout& layout, std::vector<PanelRange> groups,
                     const std::string& scratch_folder);

  /// The finished panels of the next group.
  void take(WindowedGram& part);
  /// Sum of the diagonal. After all groups, as the call below.
  double total_variance() const { return total_variance_; }
  /// Y = covariance X, `count` vectors of F consecutive values.
  void apply(const double* x, double* y, std::int64_t count, core::ThreadPool& pool) const;

  /// Memory beside one group while its panels go to the scratch file.
  static constexpr std::int64_t kCopyBytes = std::int64_t{1} << 20;

 private:
  void copy_to_scratch(const core::AlignedBuffer<double>& panels, std::int64_t offset);
  void add_diagonal(const GramPanel& panel, const double* values);
  void add_products(const GramPanel& panel, std::int64_t position, std::int64_t first, const double* x,
                    double* y, std::int64_t count) const;
  const double* block(const GramPanel& panel, std::int64_t position) const;

  const GramLayout& layout_;
  std::vector<PanelRange> groups_;
  std::int64_t n_taken_ = 0;
  double total_variance_ = 0;
  core::AlignedBuffer<double> memory_;  ///< all panels, when there is one group
  store::MappedDataset scratch_;        ///< all panels, when there are several
};

}  // namespace phase0::models
