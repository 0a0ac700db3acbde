#include "phase0/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>

#include "data/latents.h"
#include "support/expect_error.h"
#include "support/latents_file.h"
#include "support/temporary_folder.h"

namespace phase0 {
namespace {

/// Asks to stop when so many rows are done.
class StopAfter final : public Observer {
 public:
  explicit StopAfter(std::int64_t rows) : left_(rows) {}
  void task_advance(std::int64_t done, std::int64_t) override { left_ -= done; }
  bool stop_requested() const override { return left_ <= 0; }

 private:
  std::int64_t left_;
};

class Convert : public ::testing::Test {
 protected:
  ImportOptions import_of(const std::string& input) const {
    ImportOptions options;
    options.input = input;
    options.output = folder_.file("out.h5");
    options.frame_rate_hz = 12.5;
    options.speakers_file = input + "/speakers.txt";
    return options;
  }
  std::size_t n_files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }
  test::TemporaryFolder folder_;
  Observer quiet_;
};

TEST_F(Convert, ThereAndBack) {
  for (const test::LatentsType type :
       {test::LatentsType::kFloat16, test::LatentsType::kFloat32, test::LatentsType::kFloat64}) {
    for (const bool flat : {true, false}) {
      const test::TemporaryFolder folder;
      test::LatentsFile file;
      file.type = type;
      ExportOptions out;
      out.input = file.write_in(folder, flat);
      out.output = folder.file("e");
      EXPECT_EQ(export_latents(out, quiet_).n_frames, 17);
      ImportOptions in = import_of(out.output);
      in.energy = out.output + "/energy";
      in.output = folder.file("again.h5");
      const ConvertReport report = import_latents(in, quiet_);
      EXPECT_EQ(report.n_utterances, 3);
      EXPECT_TRUE(report.energy);
      const data::Latents before = data::Latents::open(out.input);
      const data::Latents after = data::Latents::open(in.output);
      EXPECT_EQ(after.codec().stored_type(), before.codec().stored_type());
      EXPECT_EQ(after.mappable(), type != test::LatentsType::kFloat64);
      for (const data::Utterance& u : after.utterances()) {
        const auto same = [&](const data::Utterance& v) { return v.id == u.id; };
        const auto was = std::find_if(before.utterances().begin(), before.utterances().end(), same);
        ASSERT_NE(was, before.utterances().end());
        EXPECT_EQ(was->speaker, u.speaker);
        ASSERT_EQ(was->n_frames, u.n_frames);
        std::vector<std::byte> a(static_cast<std::size_t>(u.n_frames * file.dim * file.value_bytes()));
        std::vector<std::byte> b(a.size());
        before.read_frames(was->offset, u.n_frames, a.data());
        after.read_frames(u.offset, u.n_frames, b.data());
        EXPECT_EQ(a, b);
        float was_loud = 0, loud = 0;
        before.read_energy(was->offset + 1, 1, &was_loud);
        after.read_energy(u.offset + 1, 1, &loud);
        EXPECT_EQ(was_loud, loud);
      }
    }
  }
}

TEST_F(Convert, StopsOnRequestAndLeavesNothing) {
  ExportOptions out;
  out.input = test::LatentsFile{}.write_in(folder_, true);
  out.output = folder_.file("e");
  StopAfter at_once(0);
  test::expect_error(ErrorKind::kInterrupted, "nothing was written", [&] { export_latents(out, at_once); });
  EXPECT_EQ(n_files(), 1U);
  export_latents(out, quiet_);
  StopAfter soon(4);
  test::expect_error(ErrorKind::kInterrupted, "nothing was written",
                     [&] { import_latents(import_of(out.output), soon); });
  EXPECT_EQ(n_files(), 2U);
}

TEST_F(Convert, ValidatesOptions) {
  const auto refused = [&](const char* fragment, const std::function<void(ImportOptions&)>& spoil) {
    ImportOptions options = import_of("in");
    spoil(options);
    test::expect_error(ErrorKind::kConfig, fragment, [&] { import_latents(options, quiet_); });
  };
  refused("must be named", [](ImportOptions& o) { o.input.clear(); });
  refused("must be named", [](ImportOptions& o) { o.output.clear(); });
  refused("frame rate", [](ImportOptions& o) { o.frame_rate_hz = 0; });
  refused("frame rate", [](ImportOptions& o) { o.frame_rate_hz = std::numeric_limits<double>::infinity(); });
  refused("who speaks is not known", [](ImportOptions& o) { o.speakers_file.clear(); });
  refused("who speaks is said twice", [](ImportOptions& o) { o.speaker_separator = "_"; });
  ExportOptions out;
  test::expect_error(ErrorKind::kConfig, "must be named", [&] { export_latents(out, quiet_); });
  out.input = "in.h5";
  out.output = "out";
  out.single = true;
  test::expect_error(ErrorKind::kConfig, "end with .npy", [&] { export_latents(out, quiet_); });
}

}  // namespace
}  // namespace phase0
