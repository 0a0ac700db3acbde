#pragma once

#include <functional>
#include <string>

#include "core/byte_stream.h"

namespace phase0::core {

/// A part of a long computation that is worth keeping: what it is called, and a fingerprint of all that its
/// result depends on. There is one version of a name.
struct UnitId {
  std::string name;
  std::string key;
};

/// Keeps finished units, so that a later start does not compute them again. Losing one costs time, never a
/// result: a unit that cannot be kept is told to the user and done without.
class UnitStore {
 public:
  using Read = std::function<void(ByteSource&)>;
  using Write = std::function<void(ByteSink&)>;

  virtual ~UnitStore() = default;
  /// Whether the unit was kept for exactly this key and is sound; if so `read` has been called, with all of
  /// it verified before. What `read` finds unexpected (Error of kind kStorage) makes it unsound.
  virtual bool load(const UnitId& unit, const Read& read) = 0;
  /// In place of an earlier one of the same name. Whether it is kept; then it outlives a power cut. Throws
  /// Error (kStorage) when what it was made from could not be written back, and so may be something else.
  virtual bool save(const UnitId& unit, const Write& write) = 0;
  virtual void drop(const UnitId& unit) = 0;
  /// How often the state of a computation under way is to be kept; 0: whenever it can be.
  virtual double interval_seconds() const = 0;
};

/// The state of a computation under way, kept now and then: not more often than the store asks for, and for
/// at most a twentieth of the time. Without a store it does nothing.
class Checkpoint {
 public:
  Checkpoint(UnitStore* store, UnitId unit);
  bool load(const UnitStore::Read& read) { return store_ != nullptr && store_->load(unit_, read); }
  bool due() const;
  /// Whether it is kept.
  bool save(const UnitStore::Write& write);
  void save_when_due(const UnitStore::Write& write) {
    if (due()) save(write);
  }
  /// When the computation is done.
  void drop() {
    if (store_ != nullptr) store_->drop(unit_);
  }

 private:
  UnitStore* store_;
  UnitId unit_;
  double next_seconds_ = 0;
};

}  // namespace phase0::core
