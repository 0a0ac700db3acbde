#include "encoders/encode_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>

namespace phase0::encoders {
namespace {

/// Takes its time for the one question, of `abc`.
constexpr const char* kSlow =
    R"(read q; echo '{"type":"hello","protocol":1,"name":"sh","input":"text","dim":1,"dtype":"float32",)"
    R"("frame_rate_hz":1,"max_items":4,"max_item_bytes":100,"max_item_frames":2}'; )"
    R"(read q; head -c 3 >/dev/null; sleep 0.3; echo '{"type":"rows","id":1,"frames":[1],"bytes":4}'; )"
    R"(printf '\000\000\200\077'; read q)";

TEST(EncodePool, AWatchWithoutMemoryForALookGoesOn) {
  ProcessKeeper keeper;
  EncoderSettings settings;
  settings.command.arguments = {"/bin/sh", "-c", kSlow};
  BatchSizes batches("sh", 4, 1, {});
  SequenceEncoder first(keeper, settings, batches);
  first.start();
  PoolWork work;
  work.sequences = {0};
  work.items = [](std::size_t) { return std::vector<std::string>{"abc"}; };
  std::int64_t n_done = 0;
  work.done = [&](std::size_t, const SequenceRows& rows) { n_done += rows.n_rows; };
  work.failed = [](std::size_t, const Error& error) { ADD_FAILURE() << error.what(); };
  std::atomic<int> n_looks = 0;
  work.over_memory = [&](std::int64_t) {
    ++n_looks;
    throw std::bad_alloc();
  };
  const PoolFigures figures = run_pool(keeper, settings, batches, first, {1, 1}, work);
  EXPECT_EQ(n_done, 1);
  EXPECT_GT(n_looks, 1);  // in a thread too
  EXPECT_EQ(figures.n_over_memory, 0);
  first.finish();
}

}  // namespace
}  // namespace phase0::encoders
