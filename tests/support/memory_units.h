#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "core/unit_store.h"
#include "phase0/error.h"

namespace phase0::test {

/// Bytes in memory as a sink.
struct ByteString final : core::ByteSink {
  void write(const void* data, std::int64_t size) override {
    bytes.append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  }
  std::string bytes;
};

/// And as a source. The bytes must outlive it.
class ByteStringSource final : public core::ByteSource {
 public:
  explicit ByteStringSource(const std::string& bytes) : bytes_(bytes) {}
  std::int64_t remaining() const override { return std::ssize(bytes_) - used_; }

 private:
  void take(void* out, std::int64_t size) override {
    std::copy_n(bytes_.data() + used_, size, static_cast<char*>(out));
    used_ += size;
  }
  const std::string& bytes_;
  std::int64_t used_ = 0;
};

/// Keeps units in memory, as often as it can, and ends the computation after a number of saves as a kill
/// would.
class MemoryUnits final : public core::UnitStore {
 public:
  bool load(const core::UnitId& unit, const Read& read) override {
    const auto kept = units_.find(unit.name);
    if (kept == units_.end() || kept->second.first != unit.key) return false;
    ByteStringSource source(kept->second.second);
    try {
      read(source);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kStorage) throw;
      ++n_refused;
      return false;
    }
    ++n_loaded;
    return true;
  }
  bool save(const core::UnitId& unit, const Write& write) override {
    ByteString sink;
    write(sink);
    units_[unit.name] = {unit.key, std::move(sink.bytes)};
    if (--saves_left == 0) throw Error(ErrorKind::kInterrupted, "killed");
    return true;
  }
  void drop(const core::UnitId& unit) override { units_.erase(unit.name); }
  double interval_seconds() const override { return interval; }
  bool empty() const { return units_.empty(); }
  bool has(const std::string& name) const { return units_.contains(name); }
  /// Cuts off the end of what is kept.
  void cut(const std::string& name, std::size_t bytes) {
    std::string& kept = units_.at(name).second;
    kept.resize(kept.size() - bytes);
  }

  /// Puts a number in place of what is kept at a byte.
  void forge(const std::string& name, std::size_t at, std::int64_t value) {
    std::memcpy(units_.at(name).second.data() + at, &value, sizeof value);
  }

  double interval = 0;  ///< seconds
  int saves_left = -1;  ///< until the kill; negative: none
  int n_loaded = 0;
  int n_refused = 0;  ///< of other contents than what the reader expects

 private:
  std::map<std::string, std::pair<std::string, std::string>> units_;
};

}  // namespace phase0::test
