// The nearest-centroid search of the library on rows from a file, for bench/compare.py, with the
// limits of the machine beside it. Prints one line of JSON.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/threads.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "machine_limits.h"
#include "program.h"

namespace phase0 {
namespace {

constexpr std::int64_t kBlockRows = 1008;  // as a scan hands them out; a multiple of every tile but amx's

std::vector<float> read_floats(const std::string& path, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), n * 4);
  if (!file) throw std::runtime_error("cannot read " + path);
  return values;
}

void print_times(const char* key, const std::vector<double>& seconds) {
  std::cout << '"' << key << "\": [";
  for (std::size_t i = 0; i < seconds.size(); ++i) std::cout << (i == 0 ? "" : ", ") << seconds[i];
  std::cout << "]";
}

/// Labels of all rows on every worker of the pool; the seconds of every repeat but the first, which warms up.
std::vector<double> assign(const linalg::NearestCentroids& nearest, const std::vector<float>& x,
                           std::int64_t n, core::ThreadPool& pool, int repeats,
                           std::vector<std::int32_t>& labels) {
  std::vector<linalg::NearestCentroids::Workspace> workspaces(static_cast<std::size_t>(pool.size()));
  std::vector<double> seconds;
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    pool.run((n + kBlockRows - 1) / kBlockRows, [&](std::int64_t block, int worker) {
      auto& workspace = workspaces[static_cast<std::size_t>(worker)];
      const std::int64_t first = block * kBlockRows;
      const std::int64_t count = std::min(kBlockRows, n - first);
      nearest.assign(x.data() + first * nearest.d(), count, workspace);
      std::copy_n(workspace.labels.data(), count, labels.begin() + first);
    });
    if (repeat > 0) seconds.push_back(bench::seconds_since(start));
  }
  return seconds;
}

int run(int argc, char** argv) {
  if (argc != 9) {
    std::cerr << "usage: phase0_assign_rows ROWS CENTROIDS N D K THREADS REPEATS LABELS_OUT\n";
    return 2;
  }
  const std::int64_t n = std::stoll(argv[3]);
  const std::int64_t d = std::stoll(argv[4]);
  const std::int64_t k = std::stoll(argv[5]);
  core::ThreadPool pool(std::stoi(argv[6]));
  const auto x = read_floats(argv[1], n * d);
  const std::vector<float> zeros(static_cast<std::size_t>(d), 0.0f);
  const linalg::NearestCentroids nearest(read_floats(argv[2], k * d), {k}, d, zeros);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(n));
  const auto seconds = assign(nearest, x, n, pool, std::stoi(argv[7]), labels);
  std::ofstream(argv[8], std::ios::binary)
      .write(reinterpret_cast<const char*>(labels.data()), static_cast<std::streamsize>(labels.size() * 4));
  std::cout << "{\"kernels\": \"" << linalg::kernels().name << "\", ";
  print_times("seconds", seconds);
  std::cout << ", \"read_bytes_per_second\": " << bench::read_rate(pool)
            << ", \"flop_per_second\": " << bench::multiply_add_rate(pool) << "}\n";
  return 0;
}

}  // namespace
}  // namespace phase0

int main(int argc, char** argv) {
  return phase0::bench::run_program(phase0::run, argc, argv);
}
