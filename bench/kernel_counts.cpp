// One kernel case on a fixed small input, for bench/instruction_counts.py to count the instructions of
// phase0_measured under valgrind. The answers are checked by the unit tests, which run with it.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/random.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "models/gram_layout.h"
#include "models/kmeans.h"
#include "models/spectral_products.h"
#include "models/windowed_gram.h"
#include "program.h"
#include "store/mapped.h"

/// What is counted. Neither inlined, cloned nor left by a jump, so that valgrind sees it begin and end.
extern "C" [[gnu::noipa]] void phase0_measured(const std::function<void()>& work) {
  work();
  __asm__ volatile("" : : : "memory");
}

namespace phase0 {
namespace {

/// Makes its input, and calls phase0_measured once.
using Case = std::function<void()>;

std::vector<float> normals(std::int64_t n, double scale, std::uint64_t seed) {
  core::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(scale * random.normal());
  return values;
}

void nearest(std::int64_t n, std::int64_t d, std::int64_t k) {
  const auto x = normals(n * d, 1.0, 1);
  const std::vector<float> zeros(static_cast<std::size_t>(d), 0.0f);
  const linalg::NearestCentroids centroids(normals(k * d, 0.5, 2), {k}, d, zeros);
  linalg::NearestCentroids::Workspace workspace;
  phase0_measured([&] { centroids.assign(x.data(), n, workspace); });
}

void half_to_float() {
  std::vector<std::uint16_t> halves(std::size_t{1} << 16);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i % 0x7c00);
  std::vector<float> floats(halves.size());
  phase0_measured([&] { linalg::kernels().half_to_float(halves.data(), floats.data(), std::ssize(halves)); });
}

void shift_and_norms() {
  const std::int64_t n = 256;
  const std::int64_t d = 512;
  const auto x = normals(n * d, 1.0, 1);
  const auto shift = normals(d, 1.0, 2);
  std::vector<float> out(x.size());
  std::vector<float> norms(static_cast<std::size_t>(n));
  phase0_measured(
      [&] { linalg::kernels().shift_and_norms(x.data(), shift.data(), out.data(), norms.data(), n, d); });
}

void accumulate_fixed() {
  const std::int64_t n = 256;
  const std::int64_t d = 512;
  const auto x = normals(n * d, 1.0, 1);
  const auto shift = normals(d, 1.0, 2);
  std::vector<std::int64_t> sum(static_cast<std::size_t>(d));
  phase0_measured([&] {
    for (std::int64_t r = 0; r < n; ++r)
      linalg::kernels().accumulate_fixed(x.data() + r * d, shift.data(), 0x1p20, sum.data(), d);
  });
}

/// One block of two runs of windows of 4 frames of 128 values.
std::vector<data::FeatureBlock> windows() {
  std::vector<data::FeatureBlock> blocks(1);
  data::FeatureBlock& block = blocks[0];
  block.n_rows = 400;
  block.window = 4;
  block.frame_dim = 128;
  block.runs = {{0, 150, 0}, {150, 250, 153}};
  block.n_frames = 406;
  const auto frames = normals(block.n_frames * block.frame_dim, 1.0, 1);
  block.frames.resize(std::ssize(frames));
  std::copy(frames.begin(), frames.end(), block.frames.data());
  return blocks;
}

void windowed_gram() {
  const models::GramLayout layout(4, 128);
  const auto blocks = windows();
  core::ThreadPool pool(1);
  models::WindowedGram gram(layout, layout.all());
  phase0_measured([&] {
    gram.add(blocks, pool);
    gram.finish(pool);
  });
}

void spectral_products() {
  const auto blocks = windows();
  core::ThreadPool pool(1);
  models::SpectralProducts products(4, 128);
  phase0_measured([&] {
    products.begin_scan(0, models::SpectralProducts::kBands);
    products.add(blocks, pool);
    products.end_scan(pool);
  });
}

/// All of a fit, seeding and scans included: two blocks of rows around 8 centres, as valgrind is slow with
/// fused multiply-adds.
void kmeans() {
  const std::int64_t n = 9'000;
  const std::int64_t d = 64;
  const std::string scratch = std::filesystem::temp_directory_path().string();
  const auto centres = normals(8 * d, 1.0, 1);
  const auto noise = normals(n * d, 1.0, 2);
  auto matrix = store::scratch_matrix(scratch, store::ElementType::kFloat32, n, d);
  for (std::int64_t i = 0; i < n * d; ++i) {
    const std::int64_t centre = i / d % 8 * d + i % d;
    matrix.mutable_data<float>()[i] =
        centres[static_cast<std::size_t>(centre)] + noise[static_cast<std::size_t>(i)];
  }
  const auto rows = data::matrix_source(std::move(matrix));
  models::KMeansTask task;
  task.k = 8;
  task.options.n_init = 2;
  task.options.max_iter = 4;
  task.seed = 7;
  task.scratch_folder = scratch;
  task.label = "k-means";
  core::ThreadPool pool(1);
  core::MemoryBudget memory(std::int64_t{1} << 30, "given");
  Observer observer;
  core::Execution execution{pool, memory, observer};
  phase0_measured([&] { models::fit_kmeans(*rows, task, execution); });
}

const std::map<std::string, Case>& cases() {
  static const std::map<std::string, Case> cases = {
      {"nearest_512_k64", [] { nearest(1008, 512, 64); }},
      {"nearest_8_k256", [] { nearest(8192, 8, 256); }},
      {"half_to_float", half_to_float},
      {"shift_and_norms", shift_and_norms},
      {"accumulate_fixed", accumulate_fixed},
      {"windowed_gram", windowed_gram},
      {"spectral_products", spectral_products},
      {"kmeans", kmeans},
  };
  return cases;
}

const std::map<std::string, KernelChoice> kKernels = {{"avx2", KernelChoice::kAvx2},
                                                      {"portable", KernelChoice::kPortable}};

void print_facts() {
  std::string kernels;
  for (const linalg::Kernels* set : linalg::available_kernels()) {
    if (kKernels.contains(set->name))
      kernels += (kernels.empty() ? "\"" : ", \"") + std::string(set->name) + '"';
  }
  std::string names;
  for (const auto& [name, run] : cases()) names += (names.empty() ? "\"" : ", \"") + name + '"';
  std::cout << "{\"compiler\": \"" << __VERSION__ << "\", \"kernels\": [" << kernels << "], \"cases\": ["
            << names << "]}\n";
}

int run(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "facts") {
    print_facts();
    return 0;
  }
  if (argc != 3 || !kKernels.contains(argv[1]) || !cases().contains(argv[2])) {
    std::cerr << "usage: phase0_kernel_counts facts | avx2 CASE | portable CASE\n";
    return 2;
  }
  linalg::select_kernels(kKernels.at(argv[1]));
  cases().at(argv[2])();
  return 0;
}

}  // namespace
}  // namespace phase0

int main(int argc, char** argv) {
  return phase0::bench::run_program(phase0::run, argc, argv);
}
