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
/// file from which one group at a time is loaded. Results do not depend on the groups.
class WindowedCovariance {
 public:
  /// `groups` cut the layout's panels from first to last. With more than one, space for all panels is
  /// reserved in a scratch file of `scratch_folder`; throws Error (kStorage). `layout` must outlive this.
  WindowedCovariance(const GramLayout& layout, std::vector<PanelRange> groups,
                     const std::string& scratch_folder);

  std::int64_t n_groups() const { return std::ssize(groups_); }
  std::int64_t n_taken() const { return n_taken_; }
  /// Sums of nothing for the panels of the next group, in the memory that this keeps for one group.
  WindowedGram next_part();
  /// That part when it is finished.
  void take(WindowedGram& part);
  /// Sum of the diagonal, of the windows that begin at position `start` of the span. After all groups, as the
  /// call below.
  double total_variance(std::int64_t start) const;
  /// Y = covariance X of those windows, `count` vectors of F consecutive values. One call at a time.
  void apply(std::int64_t start, const double* x, double* y, std::int64_t count, core::ThreadPool& pool);

  /// Memory beside one group while panels go to the scratch file or come from there.
  static constexpr std::int64_t kCopyBytes = std::int64_t{1} << 20;

 private:
  void save(PanelRange group);
  void load(PanelRange group, std::int64_t start);
  void add_diagonal(const GramPanel& panel);
  void add_products(const GramPanel& panel, std::int64_t start, std::int64_t position, std::int64_t first,
                    const double* x, double* y, std::int64_t count) const;
  const double* block(const GramPanel& panel, std::int64_t position) const {
    return panels_.data() + (panel.offset - offset_) + position * panel.block_size();
  }

  const GramLayout& layout_;
  std::vector<PanelRange> groups_;
  std::int64_t n_taken_ = 0;
  std::vector<double> variances_;       ///< [span], sums over a frame's values
  core::AlignedBuffer<double> panels_;  ///< of one group
  std::int64_t offset_ = 0;             ///< of its first panel
  store::MappedDataset scratch_;        ///< all panels, when there are several groups
};

}  // namespace phase0::models
