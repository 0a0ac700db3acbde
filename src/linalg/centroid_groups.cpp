#include "linalg/centroid_groups.h"

#include <algorithm>
#include <numeric>

#include "core/checked.h"

namespace phase0::linalg {
namespace {

using Ids = std::span<std::int32_t>;

class Halving {
 public:
  Halving(std::span<const float> centroids, std::span<const float> shift, std::int64_t group_size)
      : centroids_(centroids), shift_(shift), group_size_(group_size) {}

  void split(Ids ids) const {
    const std::int64_t groups = core::ceil_div(std::ssize(ids), group_size_);
    if (groups <= 1) return;
    const auto middle = static_cast<std::size_t>((groups + 1) / 2 * group_size_);
    const std::size_t dimension = widest(ids);
    std::nth_element(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(middle), ids.end(),
                     [&](std::int32_t a, std::int32_t b) {
                       const float x = value(a, dimension);
                       const float y = value(b, dimension);
                       return x != y ? x < y : a < b;
                     });
    split(ids.first(middle));
    split(ids.subspan(middle));
  }

 private:
  float value(std::int32_t c, std::size_t j) const {
    return centroids_[static_cast<std::size_t>(c) * shift_.size() + j];
  }
  std::size_t widest(Ids ids) const {
    std::size_t dimension = 0;
    double most = -1;
    for (std::size_t j = 0; j < shift_.size(); ++j) {
      double sum = 0;
      double squares = 0;
      for (const std::int32_t c : ids) {
        const double v = static_cast<double>(value(c, j) - shift_[j]);
        sum += v;
        squares += v * v;
      }
      const double spread = squares - sum * sum / static_cast<double>(ids.size());
      if (spread > most) {
        most = spread;
        dimension = j;
      }
    }
    return dimension;
  }

  std::span<const float> centroids_;
  std::span<const float> shift_;
  std::int64_t group_size_;
};

}  // namespace

std::vector<std::int32_t> order_in_groups(std::span<const float> centroids, std::span<const float> shift,
                                          std::int64_t group_size) {
  std::vector<std::int32_t> order(centroids.size() / shift.size());
  std::iota(order.begin(), order.end(), 0);
  Halving(centroids, shift, group_size).split(order);
  return order;
}

}  // namespace phase0::linalg
