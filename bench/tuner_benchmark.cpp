/// Throughput of a scan at fixed blocks in flight, and tuned from bad starts: the share of the best fixed
/// setting that tuning reaches within one scan.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/execution.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "store/mapped.h"

namespace {

using namespace phase0;

constexpr std::int64_t kDim = 512;
constexpr std::int64_t kRows = 256 * 1024;  // 256 blocks of 2 MiB
constexpr std::int64_t kCentroids = 64;

/// Rows per second of one scan: a product with `kCentroids` columns for each block. The budget leaves room
/// for `slots` blocks.
double rows_per_second(const data::FeatureSource& source, int threads, std::int64_t slots,
                       std::int64_t start) {
  core::ThreadPool pool(threads);
  core::MemoryBudget memory(std::int64_t{4} << 30, "benchmark");
  Observer observer;
  core::TuningTable tuning;
  core::Execution execution{pool, memory, observer, nullptr, &tuning};
  const core::ScanNeed need{0, (std::int64_t{16} << 20) / slots, 0};  // as many as help
  { const data::ScanRoom room(execution, need, "benchmark", source.shape()); }
  tuning.begin()->second = start;
  data::ScanRoom room(execution, need, "benchmark", source.shape());
  const std::vector<float> centroids(kCentroids * kDim, 0.5F);
  std::vector<core::AlignedBuffer<float>> products(static_cast<std::size_t>(threads));
  const auto begin = std::chrono::steady_clock::now();
  data::scan(source, room, "", [&](std::int64_t, std::int64_t, int worker, const data::FeatureBlock& block) {
    auto& product = products[static_cast<std::size_t>(worker)];
    product.resize(block.n_rows * kCentroids);
    linalg::multiply_abt(block.n_rows, kCentroids, kDim, block.matrix(), kDim, centroids.data(), kDim,
                         product.data(), kCentroids);
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (products[0].size() > 0 && products[0][0] != 0.5F * kDim) std::abort();  // every row is ones
  return static_cast<double>(source.n_rows()) / seconds;
}

/// The median of some scans.
template <typename Measure>
double median(const Measure& measure) {
  std::vector<double> rates;
  for (int i = 0; i < 9; ++i) rates.push_back(measure());
  std::nth_element(rates.begin(), rates.begin() + 4, rates.end());
  return rates[4];
}

}  // namespace

int main() {
  auto matrix = store::scratch_matrix(std::filesystem::temp_directory_path().string(),
                                      store::ElementType::kFloat32, kRows, kDim);
  for (std::int64_t row = 0; row < kRows; ++row) {
    std::fill_n(matrix.mutable_data<float>() + row * kDim, kDim, 1.0F);
    if (row % 1024 == 1023) matrix.release(row - 1023, 1024);
  }
  const auto source = data::matrix_source(matrix);
  const int threads = core::available_threads().count;
  const std::int64_t ceiling = 16 * threads;
  std::printf("| threads | start | ceiling | million rows/s | of the best fixed |\n|---|---|---|---|---|\n");
  double best = 0;
  for (std::int64_t blocks = 1; blocks <= ceiling; blocks *= 2) {
    // A ceiling that the tuner cannot leave upwards; downwards it tries half now and then.
    const double rate = median([&] { return rows_per_second(*source, threads, blocks, blocks); });
    best = std::max(best, rate);
    std::printf("| %d | %lld | fixed | %.2f | |\n", threads, static_cast<long long>(blocks), rate / 1e6);
  }
  for (const std::int64_t start : {std::int64_t{1}, 2 * std::int64_t{threads}, ceiling}) {
    const double rate = median([&] { return rows_per_second(*source, threads, ceiling, start); });
    std::printf("| %d | %lld | %lld | %.2f | %.0f %% |\n", threads, static_cast<long long>(start),
                static_cast<long long>(ceiling), rate / 1e6, 100 * rate / best);
  }
  return 0;
}
