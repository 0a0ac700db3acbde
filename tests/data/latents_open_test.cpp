#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "data/latents.h"
#include "support/expect_error.h"
#include "support/latents_file.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using test::expect_error;
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

std::string write(const test::TemporaryFolder& folder, const LatentsFile& file, bool flat,
                  const LatentsFile::Edit& edit = nullptr) {
  const std::string path = folder.file("latents.h5");
  if (flat) {
    file.write_a(path, edit);
  } else {
    file.write_b(path, edit);
  }
  return path;
}

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
  {
    EXPECT_THROW(Latents::open(folder.file("none")), Error);
  }  // registers the zstd filter for the writing below
  const LatentsFile file{.type = GetParam().type, .layout = GetParam().layout};
  const Latents latents = Latents::open(write(folder, file, GetParam().flat));
  EXPECT_EQ(latents.frame_rate_hz(), 12.5);
  EXPECT_EQ(latents.n_frames(), 17);
  EXPECT_EQ(latents.dim(), 4);
  EXPECT_TRUE(latents.has_energy());
  EXPECT_EQ(store::element_size(latents.type()), file.value_bytes());

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
    EXPECT_EQ(frames.type(), latents.type());
    EXPECT_EQ(std::memcmp(frames.row(0), expected.data(), expected.size()), 0);
  }
  EXPECT_EQ(latents.read_bytes() > 0, !GetParam().layout.chunk.empty());
}

TEST_P(LatentsLayouts, EnergiesReadBack) {
  const test::TemporaryFolder folder;
  { EXPECT_THROW(Latents::open(folder.file("none")), Error); }
  const LatentsFile file{.type = GetParam().type, .layout = GetParam().layout};
  const Latents latents = Latents::open(write(folder, file, GetParam().flat));
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
      write(folder, LatentsFile{}, true, [](RawH5File& file) { file.remove_attribute("/", "format"); });
  EXPECT_EQ(Latents::open(path).utterances()[0].id, "b-utt");
}

TEST(LatentsOpen, AnUtteranceMayBeCalledX) {
  const test::TemporaryFolder folder;
  const LatentsFile file{.ids = {"x"}, .speakers = {"s"}, .lengths = {4}};
  EXPECT_EQ(Latents::open(write(folder, file, false)).utterances()[0].id, "x");
}

TEST(LatentsOpen, EnergyIsOptional) {
  const test::TemporaryFolder folder;
  for (const bool flat : {true, false}) {
    const LatentsFile file{.energy = false};
    EXPECT_FALSE(Latents::open(write(folder, file, flat)).has_energy());
  }
}

TEST(LatentsOpen, EnergyMayBeOfAnotherFloatType) {
  const test::TemporaryFolder folder;
  const std::string path = write(folder, LatentsFile{}, true, [](RawH5File& file) {
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
  const std::string a = write(folder, LatentsFile{}, true, [](RawH5File& file) {
    file.remove("/utterances/speaker");
    const std::int32_t speakers[] = {7, -1, 7};
    file.dataset("/utterances/speaker", H5T_STD_I32LE, {3}, speakers);
  });
  EXPECT_EQ(Latents::open(a).utterances()[1].speaker, "-1");
  const std::string b = write(folder, LatentsFile{}, false, [](RawH5File& file) {
    file.attribute("/a-utt", "speaker_id", std::int64_t{12});
  });
  EXPECT_EQ(Latents::open(b).utterances()[0].speaker, "12");
}

/// A change that makes a good file bad, and what the message must say.
struct Damage {
  const char* name;
  LatentsFile::Edit edit;
  std::vector<std::string> fragments;
};

void expect_rejected(bool flat, const std::vector<Damage>& damages) {
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.name);
    const test::TemporaryFolder folder;
    const std::string path = write(folder, LatentsFile{}, flat, damage.edit);
    expect_error(ErrorKind::kData, path, [&] { Latents::open(path); });
    for (const std::string& fragment : damage.fragments) {
      expect_error(ErrorKind::kData, fragment, [&] { Latents::open(path); });
    }
  }
}

/// Puts another dataset in the place of one.
LatentsFile::Edit replace(const std::string& name, hid_t type, std::vector<std::int64_t> shape,
                          const RawLayout& layout = {}) {
  return [=](RawH5File& file) {
    file.remove(name);
    std::int64_t n = 1;
    for (const std::int64_t size : shape) n *= size;
    const std::vector<std::int64_t> zeros(static_cast<std::size_t>(std::max<std::int64_t>(n, 1)));
    file.dataset(name, type, shape, zeros.data(), layout);
  };
}

LatentsFile::Edit replace_ints(const std::string& name, const std::vector<std::int64_t>& values) {
  return [=](RawH5File& file) {
    file.remove(name);
    file.ints(name, values);
  };
}

LatentsFile::Edit replace_strings(const std::string& name, const std::vector<std::string>& values) {
  return [=](RawH5File& file) {
    file.remove(name);
    file.strings(name, values);
  };
}

LatentsFile::Edit remove(const std::string& name) {
  return [=](RawH5File& file) { file.remove(name); };
}

LatentsFile::Edit rate(double value) {
  return [=](RawH5File& file) { file.attribute("/", "frame_rate_hz", value); };
}

TEST(LatentsRejected, RootAttributes) {
  for (const bool flat : {true, false}) {
    expect_rejected(
        flat,
        {{"no rate",
          [](RawH5File& f) { f.remove_attribute("/", "frame_rate_hz"); },
          {"frame_rate_hz is missing"}},
         {"rate 0", rate(0), {"frame_rate_hz is 0"}},
         {"rate -1", rate(-1), {"frame_rate_hz is -1"}},
         {"rate inf", rate(std::numeric_limits<double>::infinity()), {"frame_rate_hz is inf"}},
         {"rate nan", rate(std::numeric_limits<double>::quiet_NaN()), {"frame_rate_hz is "}},
         {"rate text", [](RawH5File& f) { f.attribute("/", "frame_rate_hz", "12.5"); }, {"is not a number"}},
         {"other format",
          [](RawH5File& f) { f.attribute("/", "format", "phase0-features"); },
          {"phase0-features"}}});
  }
  expect_rejected(
      true,
      {{"version 2", [](RawH5File& f) { f.attribute("/", "version", std::int64_t{2}); }, {"version is 2"}},
       {"no version", [](RawH5File& f) { f.remove_attribute("/", "version"); }, {"version is missing"}},
       {"format is a number",
        [](RawH5File& f) { f.attribute("/", "format", 1.0); },
        {"format is not a string"}}});
}

TEST(LatentsRejected, FramesOfLayoutA) {
  expect_rejected(
      true, {{"missing", remove("/x"), {"/x: is missing"}},
             {"integers", replace("/x", H5T_STD_I32LE, {17, 4}), {"/x: has the wrong type"}},
             {"big endian", replace("/x", H5T_IEEE_F32BE, {17, 4}), {"/x: has the wrong type"}},
             {"1-d", replace("/x", H5T_IEEE_F32LE, {17}), {"/x: has 1 dimensions"}},
             {"3-d", replace("/x", H5T_IEEE_F32LE, {17, 2, 2}), {"/x: has 3 dimensions"}},
             {"no frames", replace("/x", H5T_IEEE_F32LE, {0, 4}), {"/x: has no frames"}},
             {"no dimension", replace("/x", H5T_IEEE_F32LE, {17, 0}), {"latent dimension 0"}},
             {"fewer", replace("/x", H5T_IEEE_F32LE, {16, 4}), {"/energy: has 17 values for 16 frames"}},
             {"more", replace("/x", H5T_IEEE_F32LE, {18, 4}), {"/energy: has 17 values for 18 frames"}},
             {"a group", [](RawH5File& f) { f.remove("/x"), f.group("/x"); }, {"/x: is not a dataset"}},
             {"never written",
              [](RawH5File& f) {
                f.remove("/x");
                f.dataset("/x", H5T_IEEE_F32LE, {17, 4}, nullptr);
              },
              {"/x: was never written"}}});
}

TEST(LatentsRejected, EnergyOfLayoutA) {
  expect_rejected(
      true, {{"short", replace("/energy", H5T_IEEE_F32LE, {16}), {"/energy: has 16 values for 17 frames"}},
             {"2-d", replace("/energy", H5T_IEEE_F32LE, {17, 1}), {"/energy: has 2 dimensions"}},
             {"integers", replace("/energy", H5T_STD_I64LE, {17}), {"/energy: has the wrong type"}}});
}

TEST(LatentsRejected, UtterancesOfLayoutA) {
  const std::string id = "/utterances/id";
  const std::string speaker = "/utterances/speaker";
  const std::string offset = "/utterances/offset";
  expect_rejected(
      true,
      {{"no ids", remove(id), {"/utterances/id: is missing"}},
       {"no speakers", remove(speaker), {"/utterances/speaker: is missing"}},
       {"no offsets", remove(offset), {"/utterances/offset: is missing"}},
       {"no group", remove("/utterances"), {"/utterances/id: is missing"}},
       {"ids are numbers", replace_ints(id, {1, 2, 3}), {"/utterances/id: is not of a string type"}},
       {"speakers are floats", replace(speaker, H5T_IEEE_F32LE, {3}), {"speaker: is neither"}},
       {"offsets are floats", replace(offset, H5T_IEEE_F64LE, {4}), {"offset: is not of an integer type"}},
       {"offsets 2-d", replace(offset, H5T_STD_I64LE, {2, 2}), {"offset: is not 1-d"}},
       {"duplicate id",
        replace_strings(id, {"u", "v", "u"}),
        {"utterance u", "duplicate id in rows 0 and 2"}},
       {"empty id", replace_strings(id, {"u", "", "v"}), {"row 1 is an empty id"}},
       {"bad UTF-8", replace_strings(id, {"u", "\xff", "v"}), {"string 1 is not valid UTF-8"}},
       {"empty speaker", replace_strings(speaker, {"u", "v", ""}), {"row 2 is an empty name", "c-utt"}},
       {"too few ids", replace_strings(id, {"u", "v"}), {"3 values for 2 utterances"}},
       {"too few speakers", replace_strings(speaker, {"u", "v"}), {"speaker: has 2 values for 3"}},
       {"too few offsets", replace_ints(offset, {0, 5, 17}), {"has 3 values for 3 utterances"}},
       {"no utterances", replace_strings(id, {}), {"for 0 utterances"}},
       {"starts at 1", replace_ints(offset, {1, 5, 8, 17}), {"starts at 1, not at 0"}},
       {"decreasing", replace_ints(offset, {0, 8, 5, 17}), {"utterance a-utt", "5 after 8 in row 2"}},
       {"equal", replace_ints(offset, {0, 5, 5, 17}), {"utterance a-utt", "not increasing"}},
       {"negative", replace_ints(offset, {0, -5, 5, 17}), {"utterance b-utt", "not increasing"}},
       {"behind the end", replace_ints(offset, {0, 5, 8, 18}), {"row 3 is 18", "17 frames"}},
       {"before the end", replace_ints(offset, {0, 5, 8, 16}), {"ends at 16"}}});
}

TEST(LatentsRejected, UtterancesOfLayoutB) {
  const hid_t half = RawH5File::half_type();
  expect_rejected(
      false,
      {{"no x", remove("/b-utt/x"), {"/b-utt/x: is missing"}},
       {"wrong type", replace("/b-utt/x", H5T_STD_I32LE, {5, 4}), {"/b-utt/x: has the wrong type"}},
       {"1-d", replace("/b-utt/x", H5T_IEEE_F32LE, {5}), {"/b-utt/x: has 1 dimensions"}},
       {"no frames", replace("/b-utt/x", H5T_IEEE_F32LE, {0, 4}), {"/b-utt/x: has no frames"}},
       {"other D",
        replace("/b-utt/x", H5T_IEEE_F32LE, {5, 3}),
        {"/b-utt/x", "dimension 3, utterance a-utt has 4"}},
       {"other type",
        replace("/b-utt/x", half, {5, 4}),
        {"/b-utt/x", "is float16, utterance a-utt is float32"}},
       {"short energy", replace("/b-utt/energy", H5T_IEEE_F32LE, {4}), {"/b-utt/energy: has 4 values for 5"}},
       {"energy type", replace("/b-utt/energy", H5T_STD_I32LE, {5}), {"/b-utt/energy: has the wrong type"}},
       {"energy missing",
        remove("/b-utt/energy"),
        {"/b-utt/energy", "is missing, but utterance a-utt has it"}},
       {"only b has energy",
        [](RawH5File& f) {
          f.remove("/a-utt/energy");
          f.remove("/c-utt/energy");
        },
        {"/b-utt/energy", "is there, but utterance a-utt has none"}},
       {"no speaker",
        [](RawH5File& f) { f.remove_attribute("/c-utt", "speaker_id"); },
        {"utterance c-utt", "speaker_id is missing"}},
       {"float speaker",
        [](RawH5File& f) { f.attribute("/c-utt", "speaker_id", 1.5); },
        {"/c-utt", "neither"}},
       {"empty speaker",
        [](RawH5File& f) { f.attribute("/c-utt", "speaker_id", ""); },
        {"speaker_id is empty"}},
       {"stray dataset", [](RawH5File& f) { f.ints("/stray", {1}); }, {"/stray", "is not a group"}}});
  H5Tclose(half);
}

TEST(LatentsRejected, NamesOfLayoutBMustBeUtf8) {
  expect_rejected(false, {{"bad name",
                           [](RawH5File& f) {
                             const float values[4] = {};
                             f.dataset("/\xff\xfe/x", H5T_IEEE_F32LE, {1, 4}, values);
                             f.dataset("/\xff\xfe/energy", H5T_IEEE_F32LE, {1}, values);
                             f.attribute("/\xff\xfe", "speaker_id", "s");
                           },
                           {"not valid UTF-8"}}});
}

TEST(LatentsRejected, AnEmptyFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  {
    RawH5File file(path);
    file.attribute("/", "frame_rate_hz", 12.5);
  }
  expect_error(ErrorKind::kData, "neither a dataset /x nor a group", [&] { Latents::open(path); });
}

/// Everything that would read bytes from outside the file.
TEST(LatentsRejected, LinksAndForeignStorage) {
  for (const std::string dataset : {"/x", "/energy", "/utterances/offset"}) {
    expect_rejected(true, {{"soft",
                            [&](RawH5File& f) { f.remove(dataset), f.soft_link("/utterances/id", dataset); },
                            {dataset, "only hard links"}},
                           {"external",
                            [&](RawH5File& f) { f.remove(dataset), f.external_link("o.h5", "/x", dataset); },
                            {dataset, "only hard links"}},
                           {"raw storage",
                            [&](RawH5File& f) {
                              f.remove(dataset);
                              f.external_storage(dataset, H5T_IEEE_F32LE, {17, 4}, "/etc/passwd");
                            },
                            {dataset, "external raw storage"}},
                           {"virtual",
                            [&](RawH5File& f) {
                              f.remove(dataset);
                              f.virtual_dataset(dataset, H5T_IEEE_F32LE, {17, 4}, "o.h5", "/x");
                            },
                            {dataset, "virtual"}}});
  }
  expect_rejected(
      false,
      {{"soft group", [](RawH5File& f) { f.soft_link("/a-utt", "/d-utt"); }, {"/d-utt", "only hard links"}},
       {"soft x",
        [](RawH5File& f) { f.remove("/b-utt/x"), f.soft_link("/a-utt/x", "/b-utt/x"); },
        {"/b-utt/x", "only hard links"}},
       {"external energy",
        [](RawH5File& f) { f.remove("/b-utt/energy"), f.external_link("o.h5", "/x", "/b-utt/energy"); },
        {"/b-utt/energy", "only hard links"}}});
}

TEST(LatentsRejected, FilesThatAreNone) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kStorage, "No such file", [&] { Latents::open(folder.file("none.h5")); });
  expect_error(ErrorKind::kData, "not a regular file", [&] { Latents::open(folder.path()); });
  const std::string path = write(folder, LatentsFile{}, true);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  expect_error(ErrorKind::kData, "truncated", [&] { Latents::open(path); });
}

}  // namespace
}  // namespace phase0::data
