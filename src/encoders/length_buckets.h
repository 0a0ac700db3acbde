#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace phase0::encoders {

/// The bucket of an item of so many bytes: those of one bucket differ by less than a factor of two in length.
int length_bucket(std::int64_t bytes);

/// The items of a sequence, to be taken in messages of items of about the same length, so that none waits for
/// a much longer one beside it. What a message holds depends on the lengths and on the sizes asked for alone.
class BucketedItems {
 public:
  explicit BucketedItems(std::span<const std::int64_t> item_bytes);

  bool empty() const { return n_left_ == 0; }
  /// Of the next message.
  int bucket() const;
  /// Length of the longest item that was ever in bucket().
  std::int64_t longest() const { return longest_[static_cast<std::size_t>(bucket())]; }
  /// The next message: the numbers of at most `most` items of bucket(), in ascending order; at least one.
  std::vector<std::int64_t> take(std::int64_t most);
  /// Gives items back that were taken last, to be taken again.
  void give_back(const std::vector<std::int64_t>& items);

 private:
  std::vector<std::vector<std::int64_t>> buckets_;  ///< by length_bucket; the next item is the last
  std::vector<std::int64_t> longest_;               ///< item of each
  std::span<const std::int64_t> item_bytes_;
  std::int64_t n_left_ = 0;
};

}  // namespace phase0::encoders
