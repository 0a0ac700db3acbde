#include "encoders/length_buckets.h"

#include <algorithm>
#include <bit>

#include "core/check.h"

namespace phase0::encoders {

int length_bucket(std::int64_t bytes) {
  PHASE0_CHECK(bytes >= 0);
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bytes)));
}

BucketedItems::BucketedItems(std::span<const std::int64_t> item_bytes)
    : item_bytes_(item_bytes), n_left_(std::ssize(item_bytes)) {
  for (std::int64_t i = n_left_ - 1; i >= 0; --i) {
    const std::int64_t bytes = item_bytes[static_cast<std::size_t>(i)];
    const auto bucket = static_cast<std::size_t>(length_bucket(bytes));
    if (buckets_.size() <= bucket) {
      buckets_.resize(bucket + 1);
      longest_.resize(bucket + 1);
    }
    buckets_[bucket].push_back(i);
    longest_[bucket] = std::max(longest_[bucket], bytes);
  }
}

/// The longest first: what does not fit the memory shows early.
int BucketedItems::bucket() const {
  PHASE0_CHECK(!empty());
  const auto filled =
      std::find_if(buckets_.rbegin(), buckets_.rend(), [](const auto& b) { return !b.empty(); });
  return static_cast<int>(buckets_.rend() - filled) - 1;
}

std::vector<std::int64_t> BucketedItems::take(std::int64_t most) {
  PHASE0_CHECK(most >= 1);
  auto& items = buckets_[static_cast<std::size_t>(bucket())];
  const std::int64_t count = std::min(most, std::ssize(items));
  std::vector<std::int64_t> taken(items.rbegin(), items.rbegin() + count);
  items.resize(items.size() - static_cast<std::size_t>(count));
  n_left_ -= count;
  return taken;
}

void BucketedItems::give_back(const std::vector<std::int64_t>& items) {
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    buckets_[static_cast<std::size_t>(length_bucket(item_bytes_[static_cast<std::size_t>(*item)]))].push_back(
        *item);
    ++n_left_;
  }
}

}  // namespace phase0::encoders
