#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "analysis/accumulator.h"
#include "analysis/label_sampler.h"
#include "core/clock.h"
#include "core/order_statistics.h"
#include "core/random.h"
#include "linalg/blas.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "models/moments.h"
#include "run/calibration.h"
#include "store/file_system.h"
#include "store/mapped.h"
#include "store/posix_file.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kReadBytes = std::int64_t{32} << 20;
constexpr std::int64_t kPieceBytes = std::int64_t{1} << 20;
constexpr std::int64_t kWriteBytes = std::int64_t{16} << 20;
constexpr std::int64_t kFarBytes = std::int64_t{8} << 20;
constexpr std::int64_t kWorkerBytes = std::int64_t{9} << 20;  ///< of one worker, the largest step
constexpr double kSecondsEach = 0.025;

/// A step over fixed data of one worker; returns the units done.
using Step = std::function<double()>;

/// Seconds per unit of all workers together, each repeating a step of its own. The fastest repetition counts:
/// whatever else runs on the machine only ever makes one slower. More workers than CPUs take turns.
double time_per_unit(core::ThreadPool& pool, const std::function<Step()>& make_step) {
  std::vector<double> rates(static_cast<std::size_t>(pool.size()), 0.0);
  pool.run(pool.size(), [&](std::int64_t item, int) {
    const Step step = make_step();
    step();  // touches its memory
    double& rate = rates[static_cast<std::size_t>(item)];
    const double end = core::now_seconds() + kSecondsEach;
    for (double start = core::now_seconds(); start < end;) {
      const double units = step();
      const double now = core::now_seconds();
      rate = std::max(rate, units / std::max(now - start, 1e-9));
      start = now;
    }
  });
  const double share = std::min(1.0, static_cast<double>(core::available_threads().count) / pool.size());
  return 1 / (share * std::accumulate(rates.begin(), rates.end(), 0.0));
}

std::vector<float> normal_values(std::int64_t n) {
  core::Random random(1);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

/// The nearest of `k` centroids for rows of `d` values; a unit is a row against a centroid.
Step nearest_step(std::int64_t d, std::int64_t k) {
  constexpr std::int64_t kRows = 256;
  auto x = std::make_shared<std::vector<float>>(normal_values(std::max(kRows, k) * d));
  const std::vector<float> zero(static_cast<std::size_t>(d), 0.0f);
  auto nearest = std::make_shared<linalg::NearestCentroids>(
      std::vector<float>(x->begin(), x->begin() + k * d), std::vector<std::int64_t>{k}, d, zero);
  auto workspace = std::make_shared<linalg::NearestCentroids::Workspace>();
  return [=] {
    nearest->assign(x->data(), kRows, *workspace);
    return static_cast<double>(kRows * k);
  };
}

/// Additions to sums of `bytes` at random places.
Step add_step(std::int64_t bytes) {
  constexpr std::int64_t kRows = 1024;
  const std::int64_t slots = bytes / (8 * analysis::kTileWidth);
  auto sums = std::make_shared<analysis::TileAccumulator>(slots, 1, false);
  auto z = std::make_shared<std::vector<double>>(static_cast<std::size_t>(kRows * analysis::kTileWidth), 0.5);
  auto random = std::make_shared<core::Random>(2);
  return [=] {
    std::vector<analysis::Entry> entries;
    entries.reserve(kRows);
    for (std::int32_t row = 0; row < kRows; ++row) {
      entries.push_back({row, static_cast<std::int32_t>(random->below(static_cast<std::uint64_t>(slots)))});
    }
    sums->add(entries, z->data(), z->data());
    return static_cast<double>(kRows * analysis::kTileWidth);
  };
}

Step draw_step() {
  auto counts = std::make_shared<std::vector<std::int64_t>>(1024, 64);
  return [=] {
    analysis::LabelSampler sampler(*counts, 0, core::Random(3));
    double drawn = 0;
    for (; sampler.remaining() > 0; ++drawn) sampler.next();
    return drawn;
  };
}

Step order_step() {
  auto values =
      std::make_shared<std::vector<float>>(normal_values(1 << 19));  // short streams are not counted
  return [=] {
    core::OrderStatistics middle(32, {std::ssize(*values) / 2});
    middle.next_pass();
    for (const float value : *values) middle.add(core::ordered_key(value));
    return static_cast<double>(values->size());
  };
}

template <typename T>
Step product_step(std::int64_t m, std::int64_t n, std::int64_t k,
                  void (*product)(std::int64_t, std::int64_t, std::int64_t, const T*, std::int64_t, const T*,
                                  std::int64_t, T*, std::int64_t),
                  bool transposed) {
  const std::vector<float> values = normal_values(std::max(m, n) * k);
  auto a = std::make_shared<std::vector<T>>(values.begin(), values.end());
  auto c = std::make_shared<std::vector<T>>(static_cast<std::size_t>(m * n));
  return [=] {
    product(m, n, k, a->data(), transposed ? m : k, a->data(), transposed ? n : k, c->data(), n);
    return static_cast<double>(m * n * k);
  };
}

/// A kernel that goes over rows of 512 values.
template <typename Work>
Step row_step(const Work& work) {
  constexpr std::int64_t kRows = 512;
  constexpr std::int64_t kDim = 512;
  auto x = std::make_shared<std::vector<float>>(normal_values(kRows * kDim));
  return [=] {
    work(x->data(), kRows, kDim);
    return static_cast<double>(kRows * kDim);
  };
}

void time_rows(core::ThreadPool& pool, Calibration& result) {
  const auto set = [&](Operation operation, const auto& work) {
    result.seconds_per_unit[static_cast<std::size_t>(operation)] =
        time_per_unit(pool, [&] { return row_step(work); });
  };
  set(Operation::kMean, [](const float* x, std::int64_t n, std::int64_t d) {
    std::vector<float> mean(static_cast<std::size_t>(d));
    for (std::int64_t r = 0; r + 8 <= n; r += 8) linalg::kernels().mean_rows(x + r * d, 8, d, mean.data());
  });
  set(Operation::kMoment,
      [](const float* x, std::int64_t n, std::int64_t d) { models::Moments(d).add(x, n); });
  set(Operation::kSum, [](const float* x, std::int64_t n, std::int64_t d) {
    std::vector<std::int64_t> sums(static_cast<std::size_t>(64 * d));
    for (std::int64_t r = 0; r < n; ++r)
      linalg::kernels().accumulate_fixed(x + r * d, x, 0x1p20, sums.data() + r % 64 * d, d);
  });
  set(Operation::kDistance, [](const float* x, std::int64_t n, std::int64_t d) {
    volatile double sink = 0;
    for (std::int64_t r = 0; r < n; ++r) sink = sink + linalg::kernels().squared_distance(x, x + r * d, d);
  });
}

void time_loops(core::ThreadPool& pool, Calibration& result) {
  const auto at = [&](Operation operation) -> double& {
    return result.seconds_per_unit[static_cast<std::size_t>(operation)];
  };
  time_rows(pool, result);
  // Two lengths tell what a pair costs from what its values cost.
  const double short_pair = time_per_unit(pool, [] { return nearest_step(8, 256); });
  const double long_pair = time_per_unit(pool, [] { return nearest_step(512, 256); });
  at(Operation::kProduct) = std::max((long_pair - short_pair) / (512 - 8), 1e-15);
  at(Operation::kScore) = std::max(short_pair - 8 * at(Operation::kProduct), 1e-15);
  at(Operation::kFloatProduct) =
      time_per_unit(pool, [] { return product_step<float>(256, 512, 256, &linalg::add_atb, true); });
  at(Operation::kDoubleProduct) =
      time_per_unit(pool, [] { return product_step<double>(256, 64, 512, &linalg::multiply_abt, false); });
  at(Operation::kOrder) = time_per_unit(pool, order_step);
  at(Operation::kNearAdd) = time_per_unit(pool, [] { return add_step(std::int64_t{1} << 18); });
  at(Operation::kFarAdd) = time_per_unit(pool, [] { return add_step(kFarBytes); });
  at(Operation::kDraw) = time_per_unit(pool, draw_step);
}

/// Bytes per second of one pass of all workers, read as a scan reads.
double read_rate(const store::MappedRegion& region, core::ThreadPool& pool) {
  const std::int64_t pieces = std::max<std::int64_t>(region.size() / kPieceBytes, 1);
  const std::int64_t bytes = std::min(region.size(), kPieceBytes);
  std::vector<std::vector<std::byte>> buffers(static_cast<std::size_t>(pool.size()));
  for (auto& buffer : buffers) buffer.resize(static_cast<std::size_t>(bytes));
  const double start = core::now_seconds();
  region.will_need(0, 2 * pool.size() * kPieceBytes);
  pool.run(pieces, [&](std::int64_t piece, int worker) {
    region.will_need((piece + 2 * pool.size()) * kPieceBytes, kPieceBytes);
    std::memcpy(buffers[static_cast<std::size_t>(worker)].data(), region.data() + piece * kPieceBytes,
                static_cast<std::size_t>(bytes));
    region.release(piece * kPieceBytes, bytes);
  });
  return static_cast<double>(pieces * bytes) / std::max(core::now_seconds() - start, 1e-9);
}

void time_reading(const std::string& path, core::ThreadPool& pool, Calibration& result) {
  const store::FileDescriptor file = store::open_regular_file(path, ErrorKind::kStorage);
  const std::int64_t bytes = std::min(store::file_size(file, path), kReadBytes);
  ::posix_fadvise(file.get(), 0, bytes, POSIX_FADV_DONTNEED);
  const store::MappedRegion region(path, 0, bytes, store::MapMode::kRead);
  result.cold_read_bytes_per_second = read_rate(region, pool);
  for (int pass = 0; pass < 8; ++pass)
    result.warm_read_bytes_per_second = std::max(result.warm_read_bytes_per_second, read_rate(region, pool));
}

/// A file without a name leaves no trace, not even when the process is killed. 0 where there is none.
double write_rate(const std::string& folder) {
  const store::FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file || store::free_disk_bytes(folder) < 4 * kWriteBytes) return 0;
  const std::vector<std::byte> data(static_cast<std::size_t>(kPieceBytes));
  const double start = core::now_seconds();
  for (std::int64_t at = 0; at < kWriteBytes; at += kPieceBytes) {
    store::write_exactly(file, at, kPieceBytes, data.data(), folder);
  }
  store::sync_file(file, folder);
  return static_cast<double>(kWriteBytes) / (core::now_seconds() - start);
}

}  // namespace

std::optional<Calibration> measure_machine(Session& session, const std::string& input_path) {
  const std::int64_t bytes = session.threads() * kWorkerBytes;
  if (session.memory().free_bytes() < bytes) return std::nullopt;
  const core::Reservation memory(session.execution().memory, bytes, "calibration");
  core::ThreadPool& pool = session.execution().pool;
  Calibration result;
  try {
    time_reading(input_path, pool, result);
    result.write_bytes_per_second = write_rate(store::nearest_existing(session.directory().path));
  } catch (const Error&) {
    return std::nullopt;  // an estimate is not worth a failed plan
  }
  // Where no such file can be made: disks mostly write slower than they read.
  if (result.write_bytes_per_second <= 0)
    result.write_bytes_per_second = result.cold_read_bytes_per_second / 3;
  time_loops(pool, result);
  return result;
}

}  // namespace phase0::run
