#pragma once

#include <atomic>
#include <functional>
#include <new>

#include "data/feature_source.h"

namespace phase0::test {

/// Another source whose loads of blocks (more than one row) fail as allocations do, where `fails(n)` says so
/// of the n-th such load, from 0.
class FailingSource final : public data::FeatureSource {
 public:
  FailingSource(const data::FeatureSource& base, std::function<bool(std::int64_t)> fails)
      : FeatureSource(base.n_rows(), base.window(), base.frame_dim()),
        base_(base),
        fails_(std::move(fails)) {}

  void load(std::int64_t first, std::int64_t n, data::FeatureBlock& out) const override {
    if (n > 1 && fails_(n_loads_++)) throw std::bad_alloc();
    base_.load(first, n, out);
  }
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const override {
    base_.read_ahead(first, n, limit_bytes);
  }
  void drop_ahead() const override { base_.drop_ahead(); }
  std::int64_t block_bytes() const override { return base_.block_bytes(); }
  std::int64_t ahead_bytes() const override { return base_.ahead_bytes(); }
  std::int64_t n_loads() const { return n_loads_; }

 private:
  const data::FeatureSource& base_;
  std::function<bool(std::int64_t)> fails_;
  mutable std::atomic<std::int64_t> n_loads_{0};
};

}  // namespace phase0::test
