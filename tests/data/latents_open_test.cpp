#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "data/latents.h"
#include "store/h5_handles.h"
#include "support/latents_file.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using test::LatentsFile;
using test::LatentsType;
using test::RawH5File;
using test::RawLayout;

struct Case {
  bool flat;
  LatentsType type;
  RawLayout layout;
};

class LatentsLayouts : public testing::TestWithParam<Case> {};

/// All frames as stored, in the order of `utterances`.
std::vector<std::byte> expected_frames(const LatentsFile& file, const std::vector<Utterance>& utterances) {
  std::vector<std::byte> all;
  for (const Utterance& utterance : utterances) {
    std::int64_t first = 0;
    for (std::size_t u = 0; file.ids[u] != utterance.id; ++u) first += file.lengths[u];
    const std::vector<std::byte> part = file.frames(first, utterance.n_frames);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST_P(LatentsLayouts, ReadBack) {
  const test::TemporaryFolder folder;
  const store::H5Session registers_zstd;
  const LatentsFile file{.type = GetParam().type, .layout = GetParam().layout};
  const Latents latents = Latents::open(file.write_in(folder, GetParam().flat));
  EXPECT_EQ(latents.frame_rate_hz(), 12.5);
  EXPECT_EQ(latents.n_frames(), 17);
  EXPECT_EQ(latents.dim(), 4);
  EXPECT_TRUE(latents.has_energy());
  EXPECT_EQ(store::element_size(latents.codec().stored_type()), file.value_bytes());

  std::vector<std::string> order = file.ids;
  if (!GetParam().flat) std::sort(order.begin(), order.end());
  std::int64_t offset = 0;
  ASSERT_EQ(latents.utterances().size(), 3U);
  for (std::size_t u = 0; u < 3; ++u) {
    const Utterance& utterance = latents.utterances()[u];
    EXPECT_EQ(utterance.id, order[u]);
    EXPECT_EQ(utterance.speaker, utterance.id == "a-utt" ? "s1" : "s2");
    EXPECT_EQ(utterance.offset, offset);
    EXPECT_EQ(latents.find(offset), static_cast<std::int64_t>(u));
    offset += utterance.n_frames;
    EXPECT_EQ(latents.find(offset - 1), static_cast<std::int64_t>(u));
  }

  const std::vector<std::byte> expected = expected_frames(file, latents.utterances());
  const std::int64_t row_bytes = file.dim * file.value_bytes();
  std::vector<std::byte> out(expected.size());
  for (const std::int64_t step : {1, 2, 4, 17}) {
    std::fill(out.begin(), out.end(), std::byte{0});
    for (std::int64_t first = 0; first < 17; first += step) {
      latents.read_frames(first, std::min(step, 17 - first), out.data() + first * row_bytes);
    }
    EXPECT_EQ(out, expected) << step;
  }
  EXPECT_EQ(latents.mappable(), GetParam().flat && GetParam().layout.chunk.empty() &&
                                    !GetParam().layout.compact && GetParam().type != LatentsType::kFloat64);
  if (latents.mappable()) {
    const store::MappedDataset frames = latents.map_frames();
    EXPECT_EQ(frames.type(), latents.codec().stored_type());
    EXPECT_EQ(std::memcmp(frames.row(0), expected.data(), expected.size()), 0);
  }
  EXPECT_EQ(latents.read_bytes() > 0, !GetParam().layout.chunk.empty());
}

TEST_P(LatentsLayouts, EnergiesReadBack) {
  const test::TemporaryFolder folder;
  const store::H5Session registers_zstd;
  const LatentsFile file{.type = GetParam().type, .layout = GetParam().layout};
  const Latents latents = Latents::open(file.write_in(folder, GetParam().flat));
  std::vector<float> energies(17);
  latents.read_energy(0, 17, energies.data());
  const std::int64_t a = GetParam().flat ? 5 : 0;  // where a-utt stands in the order of reading
  EXPECT_EQ(energies[static_cast<std::size_t>(a)], LatentsFile::energy_value(5));
  EXPECT_EQ(energies[16], LatentsFile::energy_value(16));
  float one = 0;
  latents.read_energy(a + 2, 1, &one);
  EXPECT_EQ(one, LatentsFile::energy_value(7));
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const bool flat : {true, false}) {
    for (const LatentsType type : {LatentsType::kFloat16, LatentsType::kFloat32, LatentsType::kFloat64}) {
      for (const RawLayout& layout :
           {RawLayout{}, RawLayout{.compact = true}, RawLayout{.chunk = {3, 4}},
            RawLayout{.chunk = {2, 3}, .gzip = 5}, RawLayout{.chunk = {3, 4}, .zstd = 3},
            RawLayout{.chunk = {2, 4}, .shuffle = true, .zstd = 1},
            RawLayout{.chunk = {3, 2}, .shuffle = true, .fletcher32 = true, .gzip = 1}}) {
        cases.push_back({flat, type, layout});
      }
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, LatentsLayouts, testing::ValuesIn(all_cases()));

TEST(LatentsOpen, FormatMayBeMissingInLayoutA) {
  const test::TemporaryFolder folder;
  const std::string path =
      LatentsFile{}.write_in(folder, true, [](RawH5File& file) { file.remove_attribute("/", "format"); });
  EXPECT_EQ(Latents::open(path).utterances()[0].id, "b-utt");
}

TEST(LatentsOpen, AnUtteranceMayBeCalledX) {
  const test::TemporaryFolder folder;
  const LatentsFile file{.ids = {"x"}, .speakers = {"s"}, .lengths = {4}};
  EXPECT_EQ(Latents::open(file.write_in(folder, false)).utterances()[0].id, "x");
}

TEST(LatentsOpen, EnergyIsOptional) {
  const test::TemporaryFolder folder;
  for (const bool flat : {true, false}) {
    const LatentsFile file{.energy = false};
    EXPECT_FALSE(Latents::open(file.write_in(folder, flat)).has_energy());
  }
}

TEST(LatentsOpen, EnergyMayBeOfAnotherFloatType) {
  const test::TemporaryFolder folder;
  const std::string path = LatentsFile{}.write_in(folder, true, [](RawH5File& file) {
    file.remove("/energy");
    std::vector<double> values(17, 0.1);
    values[3] = 1e300;
    file.dataset("/energy", H5T_IEEE_F64LE, {17}, values.data());
  });
  std::vector<float> energies(17);
  Latents::open(path).read_energy(0, 17, energies.data());
  EXPECT_EQ(energies[0], 0.1F);
  EXPECT_EQ(energies[3], std::numeric_limits<float>::infinity());
}

TEST(LatentsOpen, SpeakersMayBeIntegers) {
  const test::TemporaryFolder folder;
  const std::string a = LatentsFile{}.write_in(folder, true, [](RawH5File& file) {
    file.remove("/utterances/speaker");
    const std::int32_t speakers[] = {7, -1, 7};
    file.dataset("/utterances/speaker", H5T_STD_I32LE, {3}, speakers);
  });
  EXPECT_EQ(Latents::open(a).utterances()[1].speaker, "-1");
  const std::string b = LatentsFile{}.write_in(
      folder, false, [](RawH5File& file) { file.attribute("/a-utt", "speaker_id", std::int64_t{12}); });
  EXPECT_EQ(Latents::open(b).utterances()[0].speaker, "12");
}

}  // namespace
}  // namespace phase0::data
