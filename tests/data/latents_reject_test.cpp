#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "data/latents.h"
#include "support/expect_error.h"
#include "support/latents_file.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using test::expect_error;
using test::LatentsFile;
using test::RawH5File;
using test::RawLayout;

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
    const std::string path = LatentsFile{}.write_in(folder, flat, damage.edit);
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

/// Four offsets in one chunk with room for many.
void put_large_chunk(RawH5File& file, hsize_t chunk) {
  file.remove("/utterances/offset");
  const hsize_t shape = 4;
  const hsize_t most = H5S_UNLIMITED;
  const hid_t space = H5Screate_simple(1, &shape, &most);
  const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(properties, 1, &chunk);
  H5Pset_deflate(properties, 1);
  const hid_t id =
      H5Dcreate2(file.id(), "/utterances/offset", H5T_STD_I64LE, space, H5P_DEFAULT, properties, 0);
  const std::int64_t values[4] = {};
  ASSERT_GE(H5Dwrite(id, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
  H5Dclose(id);
  H5Pclose(properties);
  H5Sclose(space);
}

/// Small in the file, large in memory.
TEST(LatentsRejected, MetadataThatGrows) {
  constexpr std::int64_t kMany = std::int64_t{4} << 20;
  const RawLayout gzip{.chunk = {1 << 16}, .gzip = 1};
  expect_rejected(true, {{"offsets",
                          replace("/utterances/offset", H5T_STD_I8LE, {kMany}, gzip),
                          {"/utterances/offset", "far more than the file has"}},
                         {"a large chunk",
                          [](RawH5File& file) { put_large_chunk(file, kMany); },
                          {"far more than the file has"}}});
}

TEST(LatentsRejected, OneLongTextForManyIds) {
  const test::TemporaryFolder folder;
  constexpr int kIds = 100;
  haddr_t offset = 0;
  const std::string path = LatentsFile{}.write_in(folder, true, [&](RawH5File& file) {
    std::vector<std::string> ids(kIds, "a");
    ids[0] = std::string(1 << 20, 'a');
    file.remove("/utterances/id");
    file.strings("/utterances/id", ids);
    const hid_t dataset = H5Dopen2(file.id(), "/utterances/id", H5P_DEFAULT);
    offset = H5Dget_offset(dataset);
    H5Dclose(dataset);
  });
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string reference(16, '\0');
  file.seekg(static_cast<std::streamoff>(offset)).read(reference.data(), 16);
  file.seekp(static_cast<std::streamoff>(offset));
  for (int i = 0; i < kIds; ++i) file << reference;
  file.close();
  expect_error(ErrorKind::kData, "far more memory", [&] { Latents::open(path); });
}

TEST(LatentsRejected, FilesThatAreNone) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kStorage, "No such file", [&] { Latents::open(folder.file("none.h5")); });
  expect_error(ErrorKind::kData, "not a regular file", [&] { Latents::open(folder.path()); });
  const std::string path = LatentsFile{}.write_in(folder, true);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  expect_error(ErrorKind::kData, "truncated", [&] { Latents::open(path); });
}

}  // namespace
}  // namespace phase0::data
