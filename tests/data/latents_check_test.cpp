#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/execution.h"
#include "data/latents.h"
#include "support/expect_error.h"
#include "support/latents_file.h"
#include "support/resident_memory.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using test::expect_error;
using test::LatentsFile;
using test::LatentsType;
using test::RawH5File;
using test::RawLayout;

struct CountingObserver : Observer {
  void task_begin(std::string_view, std::int64_t rows) override { total = rows; }
  void task_advance(std::int64_t rows, std::int64_t) override { done += rows; }
  bool stop_requested() const override { return stop; }
  std::atomic<std::int64_t> done{0};
  std::int64_t total = 0;
  bool stop = false;
};

struct Machine {
  explicit Machine(int threads, std::int64_t budget = std::int64_t{1} << 30)
      : pool(threads), memory(budget, "test") {}
  core::ThreadPool pool;
  core::MemoryBudget memory;
  CountingObserver observer;
  core::Execution execution{pool, memory, observer};
};

/// Writes `value` as element (row, column) of a dataset, or as element `row` of a 1-d one.
void poke(RawH5File& file, const std::string& dataset, std::vector<hsize_t> at, double value) {
  const hid_t id = H5Dopen2(file.id(), dataset.c_str(), H5P_DEFAULT);
  const hid_t space = H5Dget_space(id);
  const std::vector<hsize_t> one(at.size(), 1);
  const hid_t memory = H5Screate_simple(static_cast<int>(at.size()), one.data(), nullptr);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, at.data(), nullptr, one.data(), nullptr);
  ASSERT_GE(H5Dwrite(id, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, &value), 0);
  H5Sclose(memory);
  H5Sclose(space);
  H5Dclose(id);
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  bool flat;
  LatentsType type;
  RawLayout layout;
};

class NonFinite : public testing::TestWithParam<Case> {
 protected:
  std::string write(const LatentsFile::Edit& edit = nullptr) {
    const LatentsFile file{.type = GetParam().type, .layout = GetParam().layout};
    const std::string path = folder_.file("latents.h5");
    if (GetParam().flat) {
      file.write_a(path, edit);
    } else {
      file.write_b(path, edit);
    }
    return path;
  }
  /// Frame `frame` of b-utt (0), a-utt (1) or c-utt (2).
  void poke_frame(RawH5File& file, std::size_t utterance, hsize_t frame, hsize_t column, double value) const {
    const LatentsFile names;
    if (GetParam().flat) {
      poke(file, "/x", {kFirst[utterance] + frame, column}, value);
    } else {
      poke(file, "/" + names.ids[utterance] + "/x", {frame, column}, value);
    }
  }
  void poke_energy(RawH5File& file, std::size_t utterance, hsize_t frame, double value) const {
    const LatentsFile names;
    if (GetParam().flat) {
      poke(file, "/energy", {kFirst[utterance] + frame}, value);
    } else {
      poke(file, "/" + names.ids[utterance] + "/energy", {frame}, value);
    }
  }
  std::string name(const std::string& id, const std::string& dataset) const {
    return GetParam().flat ? "/" + dataset : "/" + id + "/" + dataset;
  }

  static constexpr hsize_t kFirst[] = {0, 5, 8};
  test::TemporaryFolder folder_;
};

TEST_P(NonFinite, GoodFilesPass) {
  for (const int threads : {1, 3}) {
    Machine machine(threads);
    const Latents latents = Latents::open(write());
    EXPECT_EQ(find_non_finite(latents, NonFinitePolicy::kError, machine.execution),
              std::vector<std::uint8_t>(3, 0));
    EXPECT_EQ(machine.observer.total, 17);
    EXPECT_EQ(machine.observer.done, 17);
    EXPECT_EQ(machine.memory.reserved_bytes(), 0);
  }
}

TEST_P(NonFinite, TheFirstBadFrameIsNamed) {
  const std::string path = write([this](RawH5File& file) {
    poke_frame(file, 2, 4, 3, kNan);
    poke_frame(file, 2, 3, 1, -kInf);
    poke_energy(file, 2, 3, kNan);  // the frame goes first
    poke_energy(file, 2, 8, kNan);
  });
  for (const int threads : {1, 3}) {
    Machine machine(threads);
    expect_error(
        ErrorKind::kData,
        path + ": " + name("c-utt", "x") + ", utterance c-utt, frame 3: holds infinity in dimension 1",
        [&] { find_non_finite(Latents::open(path), NonFinitePolicy::kError, machine.execution); });
  }
}

TEST_P(NonFinite, AnEarlierEnergyGoesFirst) {
  const std::string path = write([this](RawH5File& file) {
    poke_frame(file, 2, 4, 3, kNan);
    poke_energy(file, 2, 3, kNan);
  });
  Machine machine(2);
  expect_error(ErrorKind::kData, name("c-utt", "energy") + ", utterance c-utt, frame 3: holds NaN",
               [&] { find_non_finite(Latents::open(path), NonFinitePolicy::kError, machine.execution); });
}

TEST_P(NonFinite, DroppedUtterancesAreMarked) {
  const std::string path = write([this](RawH5File& file) {
    poke_frame(file, 0, 4, 3, kNan);
    poke_frame(file, 0, 0, 0, kNan);
    poke_energy(file, 2, 8, kInf);
  });
  for (const int threads : {1, 3}) {
    Machine machine(threads);
    const Latents latents = Latents::open(path);
    const auto marked = find_non_finite(latents, NonFinitePolicy::kDropUtterance, machine.execution);
    for (std::size_t u = 0; u < 3; ++u) EXPECT_EQ(marked[u], latents.utterances()[u].id != "a-utt") << u;
    EXPECT_EQ(machine.observer.done, 17);
  }
}

TEST_P(NonFinite, StopsWhenAsked) {
  Machine machine(2);
  machine.observer.stop = true;
  const Latents latents = Latents::open(write());
  expect_error(ErrorKind::kInterrupted, "interrupted",
               [&] { find_non_finite(latents, NonFinitePolicy::kError, machine.execution); });
}

TEST_P(NonFinite, StagedFramesAreTheFrames) {
  Machine machine(2);
  const Latents latents = Latents::open(write());
  const bool narrow = latents.codec().stored_type() == store::ElementType::kFloat64;
  store::MappedDataset out = store::scratch_matrix(
      folder_.path(), narrow ? store::ElementType::kFloat32 : latents.codec().stored_type(), 17, 4);
  stage_frames(latents, 0, out, machine.execution,
               [&](std::int64_t first, std::int64_t n) { out.flush(first, n); });
  EXPECT_EQ(machine.observer.done, 17);
  EXPECT_EQ(machine.memory.reserved_bytes(), 0);
  std::vector<std::byte> stored(
      static_cast<std::size_t>(17 * 4 * store::element_size(latents.codec().stored_type())));
  latents.read_frames(0, 17, stored.data());
  if (!narrow) {
    EXPECT_EQ(std::memcmp(out.row(0), stored.data(), stored.size()), 0);
    return;
  }
  for (std::int64_t i = 0; i < 17 * 4; ++i) {
    double value = 0;
    std::memcpy(&value, stored.data() + i * 8, 8);
    EXPECT_EQ(out.data<float>()[i], static_cast<float>(value)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, NonFinite,
    testing::Values(Case{true, LatentsType::kFloat32, {}}, Case{true, LatentsType::kFloat16, {}},
                    Case{true, LatentsType::kFloat64, {}},
                    Case{true, LatentsType::kFloat32, {.chunk = {2, 3}, .gzip = 1}},
                    Case{true, LatentsType::kFloat16, {.chunk = {3, 4}}},
                    Case{false, LatentsType::kFloat32, {}},
                    Case{false, LatentsType::kFloat16, {.chunk = {2, 4}, .shuffle = true, .gzip = 1}},
                    Case{false, LatentsType::kFloat64, {.chunk = {3, 4}, .gzip = 1}}));

TEST(NonFiniteValues, ADoubleBeyondFloat32IsNamed) {
  const test::TemporaryFolder folder;
  const LatentsFile file{.type = LatentsType::kFloat64};
  file.write_a(folder.file("f.h5"), [](RawH5File& raw) { poke(raw, "/x", {6, 2}, 1e39); });
  Machine machine(1);
  expect_error(
      ErrorKind::kData, "utterance a-utt, frame 1: holds a value beyond float32 in dimension 2", [&] {
        find_non_finite(Latents::open(folder.file("f.h5")), NonFinitePolicy::kError, machine.execution);
      });
}

/// Several blocks of the scan, on several threads, with bad rows in many of them.
class LargeScan : public testing::TestWithParam<RawLayout> {};

TEST_P(LargeScan, TheFirstOfManyIsReportedAndMemoryStaysSmall) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const LatentsFile file{.lengths = {30'000, 1, 50'000}, .dim = 256, .layout = GetParam()};  // 80 MB
  file.write_a(path, [](RawH5File& raw) {
    for (const hsize_t row : {79'000, 40'000, 30'000, 29'999, 60'001}) poke(raw, "/x", {row, 17}, kNan);
    poke(raw, "/energy", {70'000}, kNan);
  });
  for (const int threads : {1, 2, 5}) {
    Machine machine(threads, std::int64_t{100} << 20);
    const Latents latents = Latents::open(path);
    expect_error(ErrorKind::kData, "/x, utterance b-utt, frame 29999: holds NaN in dimension 17",
                 [&] { find_non_finite(latents, NonFinitePolicy::kError, machine.execution); });
    const std::int64_t before = core::current_rss_bytes();
    core::reset_peak_rss();
    const auto marked = find_non_finite(latents, NonFinitePolicy::kDropUtterance, machine.execution);
    EXPECT_EQ(marked, std::vector<std::uint8_t>(3, 1));
    EXPECT_EQ(machine.observer.done >= 80'001, true);
    if (test::kResidentMemoryMeansSomething) {
      EXPECT_LT(core::peak_rss_bytes() - before, (std::int64_t{threads} * 5 << 20) + (std::int64_t{8} << 20));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, LargeScan,
                         testing::Values(RawLayout{}, RawLayout{.chunk = {1000, 256}, .gzip = 1}));

TEST(NonFiniteMemory, ChunksThatDoNotFitTheBudgetAreRefused) {
  const test::TemporaryFolder folder;
  const LatentsFile file{.lengths = {5, 3, 9'000}, .dim = 256, .layout = {.chunk = {9'000, 256}, .gzip = 1}};
  file.write_a(folder.file("f.h5"));
  Machine machine(1, core::MemoryBudget::kBaseBytes + (std::int64_t{20} << 20));
  const Latents latents = Latents::open(folder.file("f.h5"));
  expect_error(ErrorKind::kMemory, "checking input",
               [&] { find_non_finite(latents, NonFinitePolicy::kError, machine.execution); });
}

}  // namespace
}  // namespace phase0::data
