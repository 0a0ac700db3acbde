#include "run/import_encoded.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "data/latents.h"
#include "run/conversion.h"
#include "run/encode_source.h"
#include "run/input_path.h"
#include "run/run_directory.h"
#include "run/run_lock.h"
#include "sources/folder_files.h"
#include "sources/speakers.h"
#include "store/atomic_file.h"
#include "store/posix_file.h"

namespace phase0::run {
namespace {

constexpr const char* kManifest = "manifest.jsonl";

/// The kind of files that there are; of both it cannot be told which are meant.
std::string_view suffix_in(const std::string& folder) {
  const bool sounds = !sources::stems_in_folder(folder, ".wav").empty();
  const bool texts = !sources::stems_in_folder(folder, ".txt").empty();
  if (sounds == texts) {
    throw Error(ErrorKind::kData, sounds ? "holds both .wav and .txt files" : "holds no .wav or .txt files",
                {.path = folder});
  }
  return sounds ? ".wav" : ".txt";
}

std::string manifest_of(const ImportOptions& options) {
  const std::string_view suffix = suffix_in(options.input);
  std::vector<sources::Sequence> sequences;
  for (std::string& id : sources::stems_in_folder(options.input, suffix))
    sequences.push_back({std::move(id), 0, 0, {}});
  const std::vector<std::string> speakers = sources::speakers_of(options, sequences);
  if (!options.speakers_file.empty()) refuse_input(options.output, options.speakers_file);
  const std::filesystem::path folder = std::filesystem::absolute(options.input);
  std::string lines;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const std::string& id = sequences[s].id;
    const std::string path = (folder / (id + std::string(suffix))).string();
    if (!core::is_valid_utf8(path))
      throw Error(ErrorKind::kData, "has a name that is not UTF-8", {.path = path});
    refuse_input(options.output, path);
    const nlohmann::ordered_json line = {{"id", id}, {"speaker", speakers[s]}, {"path", path}};
    lines += line.dump() + "\n";
  }
  return lines;
}

Options options_of(const ImportOptions& options, const RunDirectory& work) {
  Options encoding;
  encoding.output.dir = work.path;
  encoding.memory = options.memory;
  encoding.data.source.manifest = work.file(kManifest);
  EncoderOptions& encoder = encoding.data.source.encoders.emplace_back();
  encoder.name = "import";
  encoder.command = options.encoder;
  return encoding;
}

/// Before hours of work: whether the output can be put where it is to be.
void check_places(const std::string& output, const std::string& work) {
  namespace fs = std::filesystem;
  if (output.ends_with('/'))
    throw Error(ErrorKind::kConfig, "is a folder, a file was expected", {.path = output});
  const fs::path parent = fs::absolute(output).parent_path();
  std::error_code ignored;
  if (!fs::is_directory(parent, ignored))
    throw Error(ErrorKind::kStorage, "there is no such folder", {.path = parent.string()});
  const auto there = fs::symlink_status(work, ignored).type();
  if (there != fs::file_type::not_found && there != fs::file_type::directory) {
    throw Error(ErrorKind::kStorage, "stands where the work of an unfinished import is to be kept",
                {.path = work});
  }
}

}  // namespace

ConvertReport import_encoded(const ImportOptions& options, Observer& observer) {
  const RunDirectory work{options.output + ".encoding"};
  check_places(options.output, work.path);
  const std::string manifest = manifest_of(options);
  store::create_folders(work.path);
  RunLock lock(work.path);
  store::write_file_atomically(work.file(kManifest), manifest);
  const Options encoding = options_of(options, work);
  encode_source(encoding, {}, observer, lock);
  const std::string encoded = input_path(encoding);
  ConvertReport report;
  {
    const data::Latents latents = data::Latents::open(encoded);
    report = {std::ssize(latents.utterances()),
              latents.n_frames(),
              latents.dim(),
              store::to_string(latents.codec().stored_type()),
              latents.frame_rate_hz(),
              false};
  }
  refuse_existing(options.output, options.replace);  // hours may have passed
  store::rename_durably(encoded, options.output);
  for (const char* name : {kManifest, "latents.json", ".lock"}) store::remove_file(work.file(name));
  std::error_code ignored;
  std::filesystem::remove(work.path, ignored);  // unless somebody has put something else there
  return report;
}

}  // namespace phase0::run
