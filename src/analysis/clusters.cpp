#include "analysis/clusters.h"

#include <algorithm>
#include <string>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::analysis {
namespace {

/// Up to here ids are counted and looked up in plain arrays; beyond, in sorted lists of those that occur.
constexpr std::int64_t kDenseIds = std::int64_t{1} << 20;
constexpr std::int64_t kReadRows = std::int64_t{1} << 16;

struct IdCount {
  std::int32_t id;
  std::int64_t count;
};

/// Counts ids in memory proportional to the ids that occur.
class IdCounter {
 public:
  explicit IdCounter(std::int64_t n_clusters) {
    if (n_clusters <= kDenseIds) dense_.assign(static_cast<std::size_t>(n_clusters), 0);
  }
  void add(std::span<const std::int32_t> ids) {
    if (!dense_.empty()) {
      for (const std::int32_t id : ids) ++dense_[static_cast<std::size_t>(id)];
      return;
    }
    pending_.insert(pending_.end(), ids.begin(), ids.end());
    if (pending_.size() >= counts_.size()) fold();  // as many as there are counts: amortised linear
  }
  std::vector<IdCount> finish() {
    for (std::size_t id = 0; id < dense_.size(); ++id) {
      if (dense_[id] > 0) counts_.push_back({static_cast<std::int32_t>(id), dense_[id]});
    }
    fold();
    return std::move(counts_);
  }

 private:
  void fold() {
    std::sort(pending_.begin(), pending_.end());
    std::vector<IdCount> merged;
    auto old = counts_.begin();
    for (auto id = pending_.begin(); id != pending_.end();) {
      while (old != counts_.end() && old->id < *id) merged.push_back(*old++);
      const auto end = std::upper_bound(id, pending_.end(), *id);
      IdCount count{*id, end - id};
      if (old != counts_.end() && old->id == count.id) count.count += (old++)->count;
      merged.push_back(count);
      id = end;
    }
    merged.insert(merged.end(), old, counts_.end());
    counts_ = std::move(merged);
    pending_.clear();
  }

  std::vector<std::int64_t> dense_;
  std::vector<IdCount> counts_;
  std::vector<std::int32_t> pending_;
};

std::vector<IdCount> count_ids(const store::MappedDataset& ids, std::int64_t n_clusters) {
  IdCounter counter(n_clusters);
  if (ids.empty()) return counter.finish();
  const auto* data = ids.data<std::int32_t>();
  for (std::int64_t first = 0; first < ids.rows(); first += kReadRows) {
    const std::int64_t n = std::min(kReadRows, ids.rows() - first);
    ids.will_need(first + n, kReadRows);
    for (std::int64_t row = first; row < first + n; ++row) {
      if (data[row] >= 0 && data[row] < n_clusters) continue;
      ErrorPlace place;
      place.path = ids.region().path();
      place.frame = row;
      throw Error(ErrorKind::kData,
                  "cluster id " + std::to_string(data[row]) + " is not below " + std::to_string(n_clusters),
                  place);
    }
    counter.add({data + first, static_cast<std::size_t>(n)});
    ids.release(first, n);
  }
  return counter.finish();
}

}  // namespace

ClusterTable::ClusterTable(const CellInput& cell, std::int64_t min_size) {
  const std::vector<IdCount> train = count_ids(cell.train.cluster, cell.n_clusters);
  const std::vector<IdCount> eval = count_ids(cell.eval.cluster, cell.n_clusters);
  auto t = train.begin();
  auto e = eval.begin();
  while (t != train.end() || e != eval.end()) {
    ClusterCount count;
    count.id = e == eval.end() || (t != train.end() && t->id < e->id) ? t->id : e->id;
    if (t != train.end() && t->id == count.id) count.train = (t++)->count;
    if (e != eval.end() && e->id == count.id) count.eval = (e++)->count;
    if (count.train >= std::max<std::int64_t>(min_size, 1)) {
      count.effective = static_cast<std::int32_t>(effective_ids_.size());
      effective_ids_.push_back(count.id);
    }
    occupied_.push_back(count);
  }
  if (cell.n_clusters > kDenseIds) return;
  dense_.assign(static_cast<std::size_t>(cell.n_clusters), -1);
  for (const ClusterCount& count : occupied_) dense_[static_cast<std::size_t>(count.id)] = count.effective;
}

std::int32_t ClusterTable::effective(std::int32_t id) const {
  if (!dense_.empty()) return dense_[static_cast<std::size_t>(id)];
  const auto found = std::lower_bound(effective_ids_.begin(), effective_ids_.end(), id);
  if (found == effective_ids_.end() || *found != id) return -1;
  return static_cast<std::int32_t>(found - effective_ids_.begin());
}

std::vector<std::int64_t> ClusterTable::effective_counts(data::Split split) const {
  std::vector<std::int64_t> counts;
  for (const ClusterCount& count : occupied_) {
    if (count.effective >= 0) counts.push_back(split == data::Split::kTrain ? count.train : count.eval);
  }
  return counts;
}

ClusterStats ClusterTable::stats(std::int64_t n_clusters) const {
  ClusterStats stats;
  stats.n_clusters = n_clusters;
  stats.n_effective = n_effective();
  std::vector<std::int64_t> sizes;
  for (const ClusterCount& count : occupied_) {
    if (count.train > 0) sizes.push_back(count.train);
  }
  stats.n_occupied = static_cast<std::int64_t>(sizes.size());
  if (sizes.empty()) return stats;
  std::sort(sizes.begin(), sizes.end());
  const std::size_t middle = sizes.size() / 2;
  stats.min_size = sizes.front();
  stats.max_size = sizes.back();
  stats.median_size = sizes.size() % 2 == 1
                          ? static_cast<double>(sizes[middle])
                          : (static_cast<double>(sizes[middle - 1]) + static_cast<double>(sizes[middle])) / 2;
  return stats;
}

std::int64_t cluster_table_bytes(std::int64_t n_clusters, std::int64_t n_occupied) {
  // Twice for the growth of vectors.
  const auto entry = static_cast<std::int64_t>(sizeof(ClusterCount) + sizeof(std::int32_t));
  return 2 * n_occupied * entry + (n_clusters <= kDenseIds ? 4 * n_clusters : 0);
}

std::int64_t id_counter_bytes(std::int64_t n_clusters, std::int64_t n_rows) {
  const std::int64_t occupied = std::min(n_clusters, n_rows);
  // Counts of both splits, the list being merged, and for sparse ids the rows waiting for it.
  const std::int64_t lists = 4 * occupied * static_cast<std::int64_t>(sizeof(IdCount));
  const std::int64_t mapped = 4 * 2 * kReadRows;
  return lists + mapped + (n_clusters <= kDenseIds ? 8 * n_clusters : 8 * (occupied + kReadRows));
}

std::int64_t possible_clusters(const ConditionOptions& condition) {
  if (condition.type != ConditionType::kPcaQuartile) return condition.k;
  PHASE0_CHECK(condition.pca_dim >= 0 && condition.pca_dim <= 15);
  return std::int64_t{1} << (2 * condition.pca_dim);
}

}  // namespace phase0::analysis
