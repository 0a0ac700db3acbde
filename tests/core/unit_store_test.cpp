#include "core/unit_store.h"

#include <gtest/gtest.h>

namespace phase0::core {
namespace {

/// Counts what reaches it.
class CountingStore : public UnitStore {
 public:
  explicit CountingStore(double interval_seconds) : interval_seconds_(interval_seconds) {}
  bool load(const UnitId&, const Read&) override { return false; }
  bool save(const UnitId&, const Write&) override {
    ++n_saved;
    return true;
  }
  void drop(const UnitId&) override { ++n_dropped; }
  double interval_seconds() const override { return interval_seconds_; }
  int n_saved = 0, n_dropped = 0;

 private:
  double interval_seconds_;
};

TEST(CheckpointTest, IsDueAlwaysOrNowAndThen) {
  CountingStore always(0), later(3600);
  Checkpoint eager(&always, {"a", "k"}), patient(&later, {"a", "k"});
  for (int i = 0; i < 3; ++i) {
    eager.save_when_due([](ByteSink&) {});
    patient.save_when_due([](ByteSink&) {});
  }
  EXPECT_EQ(always.n_saved, 3);
  EXPECT_EQ(later.n_saved, 0);
  eager.drop();
  EXPECT_EQ(always.n_dropped, 1);
}

TEST(CheckpointTest, WithoutAStoreDoesNothing) {
  Checkpoint none(nullptr, {"a", "k"});
  EXPECT_FALSE(none.due());
  EXPECT_FALSE(none.load([](ByteSource&) {}));
  none.save([](ByteSink&) { FAIL(); });
  none.drop();
}

}  // namespace
}  // namespace phase0::core
