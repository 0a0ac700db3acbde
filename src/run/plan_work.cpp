#include "run/plan_work.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/clusters.h"
#include "analysis/confidence.h"
#include "analysis/slices.h"
#include "core/checked.h"
#include "linalg/bounded_nearest.h"
#include "models/kmeans.h"
#include "run/pca_work.h"
#include "run/rows_work.h"
#include "store/file_system.h"

namespace phase0::run {
namespace {

/// Where k-means with the usual tolerances ends, when `max_iter` lets it (bench/README.md); and that of rows
/// of few features, which come to rest later.
constexpr double kExpectedIterations = 70;
constexpr double kExpectedOfFew = 95;

std::int64_t disk_product(std::int64_t a, std::int64_t b) {
  return core::checked_mul(a, b, "the disk that a run takes", ErrorKind::kStorage);
}
std::int64_t disk_sum(std::int64_t a, std::int64_t b) {
  return core::checked_add(a, b, "the disk that a run takes", ErrorKind::kStorage);
}

/// Nearest of `k` centroids, by the fast path.
void nearest(double n, double d, double k, const Range& times, Work& work) {
  work.add(Operation::kScore, n * k * times);
  work.add(Operation::kProduct, n * k * d * times);
}

/// Of the rows and products of an iteration of one run with bounds: what is still looked at on average
/// (bench/README.md, k-means). Of several runs in lockstep a row is loaded when one of them asks for it.
constexpr double kUnsettled = 0.2;
constexpr double kBoundedProducts = 0.03;
constexpr double kBoundedProductsOfFew = 0.3;  ///< of few features, with one group

bool has_few_features(const Rows& rows) {
  return linalg::BoundedNearest::groups(static_cast<std::int64_t>(rows.d)) == 1;
}

/// Scans of Lloyd's iterations of `runs` in lockstep, the one for the objective among them.
void lloyd(const Rows& rows, double k, double runs, const Range& scans, Work& work) {
  const bool few = has_few_features(rows);
  // The first scans look at all rows; at worst all do. The first ten make about three whole products.
  Range whole = scans;
  whole.expected =
      std::min(scans.expected, 3 + (few ? kBoundedProductsOfFew : kBoundedProducts) * scans.expected);
  Range loaded = scans;
  const double share = few ? 1 : 1 - std::pow(1 - kUnsettled, runs);
  loaded.expected = std::min(scans.expected, 2 + share * scans.expected);
  const double bounds =
      as_double(linalg::BoundedNearest::bounds_bytes(static_cast<std::int64_t>(rows.d))) * rows.n * runs;
  work.bytes_read += bounds * scans;
  work.bytes_written += kUnsettled * bounds * scans;
  load(rows, loaded, work);
  nearest(rows.n, rows.d, k * runs, whole, work);
  work.add(Operation::kSum, rows.n * rows.d * runs * whole);
  work.add(Operation::kDistance, rows.n * rows.d * runs);
}

/// Greedy k-means++: per centroid one pass for the distances to it and one for the trials (2 + floor(ln k)
/// of them, models/kmeans.h).
void seed(const Rows& rows, double k, double runs, Work& work) {
  const double trials = 2 + std::floor(std::log(k));
  const double rounds = k - 1;
  load(rows, 2 * rounds, work);
  nearest(rows.n, rows.d, runs * (1 + trials), rounds, work);
  work.bytes_read += rows.n * kValue * runs * 2 * rounds;  // distances so far, in a scratch file
  work.bytes_written += rows.n * kValue * runs * rounds;
}

/// All restarts, those that fit the memory `together`.
void restarts(const Rows& rows, double k, std::int64_t n_init, const models::KMeansPlan& plan,
              const Range& iterations, Work& work) {
  for (std::int64_t first = 0; first < n_init; first += plan.restarts_together) {
    const double runs = as_double(std::min(plan.restarts_together, n_init - first));
    seed(rows, k, runs, work);
    lloyd(rows, k, runs, iterations + 1, work);
  }
}

/// Runs of the sample on all rows: some iterations of each, then those that the best has left. `rows` are
/// those of one lag, whose files are read once for all lags that go together.
void refine(const Rows& rows, double k, const models::KMeansPlan& plan, const Range& iterations, Work& work) {
  const std::int64_t n_runs = plan.scheme.refined_runs;
  if (n_runs == 0) return;
  const double race = n_runs > 1 ? as_double(models::kRaceIterations) : 0;
  const Range raced{std::min(race, iterations.min), std::min(race, iterations.expected),
                    std::min(race, iterations.max)};
  for (std::int64_t first = 0; n_runs > 1 && first < n_runs; first += plan.refined_together) {
    const double runs = as_double(std::min(plan.refined_together, n_runs - first));
    lloyd(rows, k, runs, raced, work);
  }
  lloyd(rows, k, 1, iterations + -1 * raced + 1, work);
}

void moments(const Rows& rows, Work& work) {
  load(rows, 1, work);
  work.add(Operation::kMoment, rows.n * rows.d);
}

/// Of one of `fits` lags.
void kmeans(Rows rows, std::int64_t k_clusters, const KMeansOptions& options, const models::KMeansPlan& plan,
            double fits, Work& work) {
  const double k = as_double(k_clusters);
  const double most = as_double(options.max_iter);
  const double expected = has_few_features(rows) ? kExpectedOfFew : kExpectedIterations;
  const Range iterations{std::min(2.0, most), std::min(expected, most), most};
  const bool all_kept = plan.reads_rows_once();
  if (all_kept) {
    load(rows, 1, work);
    rows = in_memory(rows.n, rows.d);
  }
  moments(rows, work);
  Rows seen = rows;
  if (plan.scheme.sampled || (plan.scheme.gathered && !all_kept)) {
    load(rows, 1, work);
    const double n = as_double(plan.scheme.restart_rows);
    seen = plan.restart_rows_kept ? in_memory(n, rows.d) : stored(n, rows.d);
    work.bytes_written += seen.n * seen.row_bytes;
  }
  const double shared = std::ceil(fits / as_double(plan.fits_together)) / fits;
  if (plan.restarts_share_scans) seen.row_bytes *= shared;
  restarts(seen, k, options.n_init, plan, iterations, work);
  rows.row_bytes *= shared;
  refine(rows, k, plan, iterations, work);
}

/// Ids and distances of a condition's rows.
void assign(const Rows& rows, const ConditionOptions& condition, Work& work) {
  load(rows, 1, work);
  work.bytes_written += 8 * rows.n;
  if (condition.type == ConditionType::kPcaQuartile) return;
  nearest(rows.n, rows.d, as_double(condition.k), 1, work);
  work.add(Operation::kDistance, rows.n * rows.d);
}

std::set<std::int64_t> pca_dims(const Session& session) {
  std::set<std::int64_t> dims;
  for (const auto& condition : session.options().clustering.conditions) {
    if (condition.pca_dim > 0) dims.insert(condition.pca_dim);
  }
  return dims;
}

/// Share of the rows that a slice is thought to have.
double share(const SliceOptions& slice) {
  if (slice.filter == SliceFilterKind::kEnergyAboveMedian) return 0.5;
  return slice.filter == SliceFilterKind::kPosFrac ? slice.pos_frac_max - slice.pos_frac_min : 1.0;
}

/// Additions of a row's values to `adds` sums of all clusters; sums beyond the cache cost more.
void add_values(double n, double d, double adds, double sums_bytes, Work& work) {
  constexpr double kNear = 0x1p20;
  constexpr double kFar = 0x1p23;
  const double far = std::clamp(std::log(sums_bytes / kNear) / std::log(kFar / kNear), 0.0, 1.0);
  work.add(Operation::kFarAdd, far * n * d * adds);
  work.add(Operation::kNearAdd, (1 - far) * n * d * adds);
}

/// Sums of all clusters of a cell, or of all cells, put together at the end of a split for `groups` of
/// planes.
void reduce(double clusters, double d, double planes, double groups, Work& work) {
  work.bytes_read += 2 * 8 * clusters * d * planes;  // zeroed, and read
  work.add(Operation::kNearAdd, clusters * d * groups);
}

}  // namespace

Work collect_work(const Session& session, const Workload& workload) {
  const double frames = as_double(workload.n_frames) * as_double(workload.input_frame_bytes);
  const double energy = kValue * as_double(workload.n_frames);
  const bool dense = workload.storage == Storage::kDense;
  Work work;
  const double checked = workload.quantised ? 0 : frames;
  work.bytes_input = (workload.staged || dense ? frames : checked) + energy;
  // Values are checked, energies as well and then their median is taken in two passes; rows copy them.
  work.bytes_read += checked + (workload.staged ? frames : 0) + 4 * energy;
  if (dense) {
    work.bytes_read += as_double(workload.n_frames) * as_double(workload.frame_bytes);
    const double n = as_double(workload.n_train + workload.n_eval);
    const double window = as_double(session.options().context.window_size);
    work.add(Operation::kMean, n_lags(session) * n * window * as_double(workload.dim));
  }
  work.bytes_written += as_double(workload.features_bytes);
  return work;
}

Work fit_work(const Session& session, const Workload& workload) {
  const auto& clustering = session.options().clustering;
  const double n = as_double(workload.n_train);
  const double all = n + as_double(workload.n_eval);
  const FeatureRows features(session, workload);
  Work lag;
  const FitParts parts = fit_parts(session, workload);
  for (std::size_t i = 0; i < parts.kmeans.size(); ++i) {
    const ConditionOptions& condition = clustering.conditions[i];
    const bool on_mean = condition.type == ConditionType::kMeanPoolVq;
    const auto rows = [&](double count) {
      return on_mean ? features.mean(count) : stored(count, as_double(condition.pca_dim));
    };
    if (condition.type == ConditionType::kPcaQuartile) {
      load(rows(n), 2, lag);
      lag.add(Operation::kOrder, 2 * n * as_double(condition.pca_dim));
    } else {
      kmeans(rows(n), condition.k, clustering.kmeans, parts.kmeans[i], n_lags(session), lag);
    }
    assign(rows(all), condition, lag);
  }
  Work work;
  moments(features.delta(n), work);
  if (parts.pca) add_pca_work(session, workload, parts, work);
  const double lags = n_lags(session);
  work.bytes_input = all * as_double(workload.frame_bytes);
  if (workload.storage == Storage::kDense) work.bytes_input = as_double(workload.features_bytes);
  work.bytes_read += lags * lag.bytes_read;
  work.bytes_written += lags * lag.bytes_written + as_double(fit_kept_bytes(session, workload));
  for (std::size_t i = 0; i < kOperations; ++i) work.units[i] += lags * lag.units[i];
  return work;
}

Work analyze_work(const Session& session, const Workload& workload, std::int64_t scans) {
  const Options& options = session.options();
  const double n = as_double(workload.n_train + workload.n_eval);
  const double d = as_double(workload.dim);
  double shares = 0;
  for (const auto& slice : options.slices) shares += share(slice);
  // A row is added once for all slices, or to each (slices.h).
  const double planes = as_double(analysis::PlaneMap::most_planes(options.slices));
  const double adds = planes <= as_double(std::ssize(options.slices)) * shares ? 1 : shares;
  const double cells = n_lags(session) * as_double(std::ssize(options.clustering.conditions));
  const FeatureRows features(session, workload);
  Work work;
  load(features.delta(n), as_double(scans), work);
  add_values(n, d, 2.0 * as_double(scans), 0x1p20, work);  // normalised, and its norm
  const double permutations = as_double(options.metrics.permutations);
  constexpr double kSplits = 2;
  const double slices = as_double(std::ssize(options.slices));
  const double points = as_double(analysis::kCurvePoints);
  double pieces_bytes = 0;
  double pieces = 0;
  const double most =
      as_double(workload.n_train / std::max<std::int64_t>(options.clustering.min_cluster_size, 1));
  for (const auto& condition : options.clustering.conditions) {
    // The fewer rows there are for each, the fewer of the possible clusters are effective.
    const double possible = as_double(analysis::possible_clusters(condition));
    const double clusters = possible * std::min(1.0, (most / possible) * (most / possible));
    const double sums_bytes = clusters * planes * 64 * 8;
    // The ids (with squares) and the speakers; the curve adds to every slice.
    add_values(n, d, n_lags(session) * (3 * adds + shares), sums_bytes, work);
    pieces_bytes += n_lags(session) * sums_bytes;
    pieces += n_lags(session) * clusters;
    // The ids and the speakers; of every curve each point from all planes up to its own.
    reduce(n_lags(session) * clusters, d, 3 * planes, kSplits * 3 * planes, work);
    reduce(n_lags(session) * clusters, d, slices * points, kSplits * slices * points * (points + 1) / 2,
           work);
  }
  reduce(permutations * pieces, d, planes, kSplits * (planes + slices * cells), work);
  // The permutations of all cells together.
  add_values(n, d, permutations * adds, pieces_bytes, work);
  work.add(Operation::kDraw, n * permutations);
  // Counted once; distances are counted and ranked in two passes for every slice.
  work.bytes_read += cells * n * (4 + 3 * 8 * as_double(std::ssize(options.slices)));
  work.add(Operation::kOrder, cells * n * 3 * shares);
  work.bytes_input = n * as_double(workload.frame_bytes) + 8 * n * cells;
  work.bytes_written += as_double(analyze_output_bytes(session, workload));
  return work;
}

std::int64_t fit_output_bytes(const Session& session, const Workload& workload) {
  const Options& options = session.options();
  const std::int64_t flat = disk_product(workload.dim, options.context.window_size);
  std::int64_t lag = 16 * workload.dim;
  for (const auto& condition : options.clustering.conditions) {
    lag = disk_sum(lag, 8 * (workload.n_train + workload.n_eval));
    if (condition.pca_dim > 0) lag = disk_sum(lag, disk_product(8 * (condition.pca_dim + 1), flat + 2));
    const std::int64_t d = condition.pca_dim > 0 ? condition.pca_dim : workload.dim;
    lag = disk_sum(lag, disk_product(condition.k, 4 * d + 8));
  }
  constexpr std::int64_t kMetadata = std::int64_t{1} << 20;
  return disk_sum(kMetadata, disk_product(std::ssize(options.context.lags), lag));
}

std::int64_t fit_kept_bytes(const Session& session, const Workload& workload) {
  return store::lies_in_memory(session.directory().path) ? 0 : fit_output_bytes(session, workload);
}

std::int64_t fit_scratch_bytes(const Session& session, const Workload& workload,
                               const std::vector<models::KMeansPlan>& kmeans) {
  const auto& clustering = session.options().clustering;
  std::int64_t scores = 0;
  // Of all lags until they are fitted.
  for (const std::int64_t k : pca_dims(session)) {
    scores = disk_sum(scores, disk_product(std::ssize(session.options().context.lags) * 4 * k,
                                           workload.n_train + workload.n_eval));
  }
  std::int64_t most = 0;  // of the k-means of one condition at a time
  for (std::size_t i = 0; i < clustering.conditions.size(); ++i) {
    const ConditionOptions& condition = clustering.conditions[i];
    if (condition.type == ConditionType::kPcaQuartile) continue;
    const data::SourceShape rows = condition_rows(session.options(), workload, condition);
    const std::int64_t fits = kmeans.empty() ? 1 : kmeans[i].fits_together;
    most = std::max(most, models::kmeans_scratch_bytes(rows, condition.k, clustering.kmeans, fits));
  }
  return scores + most;
}

std::int64_t analyze_output_bytes(const Session& session, const Workload& workload) {
  const Options& options = session.options();
  const std::int64_t rows = workload.n_train + workload.n_eval;
  std::int64_t clusters = 0;
  for (const auto& condition : options.clustering.conditions)
    clusters += std::min(analysis::possible_clusters(condition), rows);
  const std::int64_t cells = std::ssize(options.clustering.conditions);
  const std::int64_t slices = std::ssize(options.slices);
  constexpr std::int64_t kLine = 160;  // of a table, at most
  const std::int64_t of_cell = slices * (2 * workload.n_speakers + 128) +
                               2 * options.clustering.kmeans.n_init * options.clustering.kmeans.max_iter;
  const std::int64_t lines = disk_sum(clusters, disk_product(cells, of_cell));
  constexpr std::int64_t kReport = std::int64_t{2} << 20;
  return disk_sum(kReport, disk_product(std::ssize(options.context.lags) * kLine, lines));
}

void set_traffic(const Work& work, StagePlan& plan) {
  plan.bytes_read_min = std::llround(work.bytes_read.min);
  plan.bytes_read_max = std::llround(work.bytes_read.max);
  plan.bytes_written_min = std::llround(work.bytes_written.min);
  plan.bytes_written_max = std::llround(work.bytes_written.max);
}

std::int64_t collect_files_in_memory(const Session& session, const Workload& workload) {
  return store::lies_in_memory(session.directory().path) ? workload.features_bytes : 0;
}

std::int64_t fit_files_in_memory(const Session& session, const Workload& workload) {
  if (!store::lies_in_memory(session.directory().path)) return 0;
  return workload.features_bytes + fit_output_bytes(session, workload) +
         fit_scratch_bytes(session, workload, {});
}

std::int64_t analyze_files_in_memory(const Session& session, const Workload& workload) {
  if (!store::lies_in_memory(session.directory().path)) return 0;
  return workload.features_bytes + fit_output_bytes(session, workload) +
         analyze_output_bytes(session, workload);
}

}  // namespace phase0::run
