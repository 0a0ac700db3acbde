#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <set>

#include "core/text.h"
#include "data/latents.h"
#include "phase0/error.h"
#include "phase0/pipeline.h"
#include "run/stage_cache.h"
#include "store/h5_reader.h"

namespace phase0 {
namespace {

constexpr const char* kRunFiles[] = {"features.h5", "models.h5", "assignments.h5"};

std::string type_name(const store::DatasetInfo& info) {
  if (info.is_string) return "string";
  return info.type ? store::to_string(*info.type) : "other type";
}

std::string shape_name(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

/// The value of an attribute of any kind that our files hold.
std::string attribute_text(const store::H5Reader& file, const std::string& object, const std::string& name) {
  const auto attempt = [&](const auto& read) -> std::string {
    try {
      return read();
    } catch (const Error&) {
      return {};
    }
  };
  std::string text = attempt([&] { return file.read_string(object, name); });
  if (text.empty()) text = attempt([&] { return fmt::format("{}", file.read_int(object, name)); });
  if (text.empty()) text = attempt([&] { return fmt::format("{}", file.read_double(object, name)); });
  if (text.empty()) text = attempt([&] { return shape_name(file.read_ints(object, name)); });
  return text.empty() ? "?" : text;
}

[[noreturn]] void broken(const store::H5Reader& file, const std::string& dataset, const std::string& why) {
  ErrorPlace place;
  place.path = file.path();
  place.dataset = dataset;
  throw Error(ErrorKind::kData, why, place);
}

constexpr std::size_t kMaxDepth = 16;

/// Every dataset with its shape and storage, and every attribute, depth first. `seen`: addresses of the
/// groups that were listed.
void list(const store::H5Reader& file, const std::string& object, std::size_t depth,
          std::set<std::uint64_t>& seen, std::string& out) {
  if (depth > kMaxDepth) broken(file, object, "lies deeper than any group of ours");
  if (!seen.insert(file.address(object)).second) broken(file, object, "is a group that is linked twice");
  const std::string shown = core::printable(object);
  for (const std::string& name : file.attribute_names(object)) {
    out += fmt::format("  {:<44} @{} = {}\n", shown, core::printable(name),
                       core::printable(attribute_text(file, object, name)));
  }
  for (const std::string& name : file.members(object)) {
    const std::string path = (object == "/" ? "" : object) + "/" + name;
    if (file.is_group(path)) {
      list(file, path, depth + 1, seen, out);
      continue;
    }
    const store::DatasetInfo info = file.info(path);
    out += fmt::format("  {:<44} {:<8} {:<16} {}\n", core::printable(path), type_name(info),
                       shape_name(info.shape),
                       info.contiguous ? fmt::format("contiguous, {} bytes", info.bytes) : "chunked");
  }
}

std::int64_t length(const store::H5Reader& file, const std::string& dataset) {
  if (!file.exists(dataset)) broken(file, dataset, "is missing");
  const auto shape = file.info(dataset).shape;
  if (shape.empty()) broken(file, dataset, "has no rows");
  return shape[0];
}

/// All datasets of a group must have the same number of rows. Returns it.
std::int64_t common_length(const store::H5Reader& file, const std::string& group) {
  std::int64_t rows = -1;
  for (const std::string& name : file.members(group)) {
    const std::string path = fmt::format("{}/{}", group, name);
    if (file.is_group(path)) continue;
    const std::int64_t n = length(file, path);
    if (rows >= 0 && n != rows) broken(file, path, fmt::format("has {} rows, not {}", n, rows));
    rows = n;
  }
  return rows;
}

void check_features(const store::H5Reader& file) {
  for (const std::string split : {"/train", "/eval"}) {
    const std::int64_t rows = common_length(file, split + "/rows");
    if (file.exists(split + "/delta") && length(file, split + "/delta") != rows) {
      broken(file, split + "/delta", fmt::format("does not have the {} rows of the split", rows));
    }
  }
  common_length(file, "/utterances");
}

void check_assignments(const store::H5Reader& file) {
  for (const std::string& lag : file.members("/")) {
    for (const std::string& condition : file.members("/" + lag)) {
      for (const std::string split : {"/train", "/eval"})
        common_length(file, fmt::format("/{}/{}{}", lag, condition, split));
    }
  }
}

std::string describe_latents(const std::string& path) {
  const data::Latents latents = data::Latents::open(path);
  return fmt::format("latents: {} frames of {} {} values at {} Hz, {} utterances, energy {}, {}\n",
                     latents.n_frames(), latents.dim(), latents.codec().name(), latents.frame_rate_hz(),
                     latents.utterances().size(), latents.has_energy() ? "yes" : "no",
                     latents.mappable() ? "used in place" : "staged when collected");
}

/// What later starts of the stages may go on from.
std::string describe_cache(const std::string& run_dir) {
  const auto units = run::list_cache({run_dir});
  std::int64_t bytes = 0;
  for (const auto& unit : units) bytes += unit.bytes;
  if (units.empty()) return {};
  std::string out =
      fmt::format("{}/cache: {} finished parts, {} bytes\n", core::printable(run_dir), units.size(), bytes);
  for (const auto& unit : units) {
    out += fmt::format("  {:<8} {:<44} {:>12} bytes  {}\n", unit.stage, core::printable(unit.name),
                       unit.bytes, unit.damaged ? "damaged" : "for " + core::printable(unit.key));
  }
  return out;
}

std::string inspect_file(const std::string& path) {
  const store::H5Reader file(path);
  std::string format = "phase0-latents";
  if (file.has_attribute("/", "format")) format = file.read_string("/", "format");
  std::string out =
      fmt::format("{}: {}, {} bytes\n", core::printable(path), core::printable(format), file.file_bytes());
  if (format == "phase0-latents") return out + "  " + describe_latents(path);
  std::set<std::uint64_t> seen;
  list(file, "/", 0, seen, out);  // before anything goes by its groups
  if (format == "phase0-features") {
    check_features(file);
  } else if (format == "phase0-assignments") {
    check_assignments(file);
  } else if (format != "phase0-models") {
    broken(file, "/", fmt::format("unknown format \"{}\"", core::clipped(format)));
  }
  return out;
}

}  // namespace

std::string inspect(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return inspect_file(path);
  std::string out;
  for (const char* name : kRunFiles) {
    const std::string file = path + "/" + name;
    out += std::filesystem::exists(file, ignored) ? inspect_file(file)
                                                  : fmt::format("{}: not there\n", core::printable(file));
  }
  out += describe_cache(path);
  return out;
}

}  // namespace phase0
