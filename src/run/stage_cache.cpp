#include "run/stage_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "core/fingerprint.h"
#include "phase0/error.h"
#include "store/atomic_file.h"
#include "store/file_system.h"
#include "store/mapped.h"
#include "store/unit_file.h"

namespace phase0::run {
namespace {

constexpr const char* kSuffix = ".unit";

std::string cache_folder(const RunDirectory& directory) {
  return directory.file("cache");
}

}  // namespace

StageCache::StageCache(const RunDirectory& directory, const std::string& stage, double interval_seconds,
                       bool fresh, Observer& observer)
    : folder_(cache_folder(directory) + "/" + stage),
      interval_seconds_(interval_seconds),
      observer_(observer),
      usable_(!store::lies_in_memory(directory.path)) {
  if (fresh) discard_cache(directory, stage);
}

std::string StageCache::path(const core::UnitId& unit) const {
  return fmt::format("{}/{}{}", folder_, core::fingerprint(unit.name), kSuffix);
}

bool StageCache::load(const core::UnitId& unit, const Read& read) {
  std::error_code ignored;
  if (!usable_ || !std::filesystem::exists(path(unit), ignored)) return false;
  try {
    if (store::unit_info(path(unit)).unit.key != unit.key) {
      observer_.log(LogLevel::kInfo,
                    unit.name + ": kept for another input or configuration, done again for this one");
      return false;
    }
    store::read_unit(path(unit), unit, read);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kStorage) throw;
    observer_.log(LogLevel::kWarning, fmt::format("{}: what was kept cannot be used and is done again: {}",
                                                  unit.name, error.what()));
    drop(unit);
    return false;
  }
}

bool StageCache::save(const core::UnitId& unit, const Write& write) {
  if (!usable_) return false;
  bool written_back = true;
  try {
    store::create_folders(folder_);
    store::write_unit(path(unit), unit, [&](core::ByteSink& sink) {
      write(sink);
      written_back = false;
      store::check_all_written_back();
      written_back = true;
    });
    return true;
  } catch (const Error& error) {
    if (!written_back || error.kind() != ErrorKind::kStorage) throw;
    if (!std::exchange(told_, true)) {
      observer_.log(LogLevel::kWarning,
                    fmt::format("{}: finished work cannot be kept, an interrupted run will do it again: {}",
                                unit.name, error.what()));
    }
    return false;
  }
}

void StageCache::drop(const core::UnitId& unit) {
  ::unlink(path(unit).c_str());
}

void discard_cache(const RunDirectory& directory, const std::string& stage) {
  std::error_code ignored;
  std::filesystem::remove_all(cache_folder(directory) + "/" + stage, ignored);
  std::filesystem::remove(cache_folder(directory), ignored);  // when it was the last
}

std::int64_t cache_bytes(const RunDirectory& directory, const std::string& stage) {
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& file :
       std::filesystem::directory_iterator(cache_folder(directory) + "/" + stage, ignored)) {
    const auto size = file.file_size(ignored);
    if (!ignored) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

std::vector<CachedUnit> list_cache(const RunDirectory& directory) {
  namespace fs = std::filesystem;
  std::vector<CachedUnit> units;
  std::error_code error;
  for (const auto& stage : fs::directory_iterator(cache_folder(directory), error)) {
    for (const auto& file : fs::directory_iterator(stage.path(), error)) {
      if (file.path().extension() != kSuffix) continue;
      CachedUnit unit;
      unit.stage = stage.path().filename().string();
      try {
        const store::UnitInfo info = store::unit_info(file.path().string());
        unit.name = info.unit.name;
        unit.key = info.unit.key;
        unit.bytes = info.bytes;
      } catch (const Error&) {
        unit.name = file.path().filename().string();
        unit.damaged = true;
      }
      units.push_back(std::move(unit));
    }
  }
  std::sort(units.begin(), units.end(), [](const CachedUnit& a, const CachedUnit& b) {
    return std::tie(a.stage, a.name) < std::tie(b.stage, b.name);
  });
  return units;
}

}  // namespace phase0::run
