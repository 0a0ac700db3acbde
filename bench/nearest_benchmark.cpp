#include "linalg/nearest.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"
#include "linalg/kernels.h"

namespace phase0::linalg {
namespace {

std::vector<float> normals(std::int64_t n, double scale, std::uint64_t seed) {
  core::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(scale * random.normal());
  return values;
}

/// Whether every label is a float64 nearest centroid.
bool correct(const std::vector<float>& x, const std::vector<float>& centroids, std::int64_t k, std::int64_t d,
             const std::int32_t* labels) {
  for (std::int64_t r = 0; r < std::ssize(x) / d; ++r) {
    double best = std::numeric_limits<double>::infinity();
    std::int32_t label = 0;
    for (std::int64_t c = 0; c < k; ++c) {
      const double distance = kernels().squared_distance(x.data() + r * d, centroids.data() + c * d, d);
      if (distance < best) {
        best = distance;
        label = static_cast<std::int32_t>(c);
      }
    }
    if (labels[r] != label) return false;
  }
  return true;
}

/// Arguments: dimension, clusters per set, sets. Rows come from memory larger than the caches.
void assign_nearest(benchmark::State& state) {
  const std::int64_t d = state.range(0);
  const std::int64_t k = state.range(1);
  const std::int64_t n_sets = state.range(2);
  const std::int64_t block = 1024;
  const std::int64_t n = (std::int64_t{128} << 20) / (4 * d) / block * block;
  const auto x = normals(n * d, 1.0, 1);
  const auto centroids = normals(n_sets * k * d, 0.5, 2);
  const NearestCentroids nearest(centroids, std::vector<std::int64_t>(static_cast<std::size_t>(n_sets), k), d,
                                 std::vector<float>(static_cast<std::size_t>(d), 0.0f));
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), block, workspace);
  const std::vector<float> head(x.begin(), x.begin() + block * d);
  if (!correct(head, centroids, k, d, workspace.labels.data())) {
    state.SkipWithError("wrong label");
    return;
  }
  for (auto _ : state) {
    for (std::int64_t row = 0; row < n; row += block) nearest.assign(x.data() + row * d, block, workspace);
    benchmark::DoNotOptimize(workspace.labels.data());
  }
  state.SetBytesProcessed(state.iterations() * n * d * 4);
  state.counters["flop/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * n * d * k * n_sets * 2), benchmark::Counter::kIsRate);
  state.SetLabel(kernels().name);
}
BENCHMARK(assign_nearest)->Args({512, 64, 1})->Args({512, 64, 10})->Args({8, 256, 1})->Args({8, 256, 10});

/// Every centroid twice, so that every row is decided in float64: the worst that can happen. Arguments as
/// above.
void assign_ties(benchmark::State& state) {
  const std::int64_t d = state.range(0);
  const std::int64_t k = state.range(1);
  const std::int64_t block = 1024;
  const auto x = normals(block * d, 1.0, 1);
  auto centroids = normals(k / 2 * d, 0.5, 2);
  centroids.insert(centroids.end(), centroids.begin(), centroids.begin() + k / 2 * d);
  const NearestCentroids nearest(centroids, {k}, d, std::vector<float>(static_cast<std::size_t>(d), 0.0f));
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), block, workspace);
  if (workspace.n_uncertain != block || !correct(x, centroids, k, d, workspace.labels.data())) {
    state.SkipWithError("wrong label");
    return;
  }
  for (auto _ : state) nearest.assign(x.data(), block, workspace);
  state.SetItemsProcessed(state.iterations() * block);
}
BENCHMARK(assign_ties)->Args({512, 64})->Args({8, 256});

/// Bytes read and written per second of kernels that pass over memory once; 4 MiB, so from the last-level
/// cache.
constexpr std::int64_t kPassFloats = std::int64_t{1} << 20;

void half_to_float(benchmark::State& state) {
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(kPassFloats));
  for (std::size_t i = 0; i < halves.size(); ++i)
    halves[i] = static_cast<std::uint16_t>(i % 0x7c00);  // finite
  std::vector<float> floats(halves.size());
  kernels().half_to_float(halves.data(), floats.data(), kPassFloats);
  if (floats[0x3c00] != 1.0f || floats[1] != 0x1p-24f) {
    state.SkipWithError("wrong value");
    return;
  }
  for (auto _ : state) {
    kernels().half_to_float(halves.data(), floats.data(), kPassFloats);
    benchmark::DoNotOptimize(floats.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kPassFloats * 6);
}
BENCHMARK(half_to_float);

/// Argument: dimension.
void shift_and_norms(benchmark::State& state) {
  const std::int64_t d = state.range(0);
  const std::int64_t n = kPassFloats / d;
  const auto x = normals(n * d, 1.0, 1);
  const auto shift = normals(d, 1.0, 2);
  std::vector<float> out(x.size());
  std::vector<float> norms(static_cast<std::size_t>(n));
  kernels().shift_and_norms(x.data(), shift.data(), out.data(), norms.data(), n, d);
  const double exact = kernels().squared_distance(x.data(), shift.data(), d);
  if (!(std::abs(static_cast<double>(norms[0]) - exact) <= 1e-5 * exact)) {
    state.SkipWithError("wrong norm");
    return;
  }
  for (auto _ : state) {
    kernels().shift_and_norms(x.data(), shift.data(), out.data(), norms.data(), n, d);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n * d * 8);
}
BENCHMARK(shift_and_norms)->Arg(8)->Arg(512);

}  // namespace
}  // namespace phase0::linalg

BENCHMARK_MAIN();
