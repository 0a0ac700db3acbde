#include "config/suggest.h"

#include <gtest/gtest.h>

namespace phase0::config {
namespace {

TEST(EditDistance, KnownPairs) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("n_int", "n_init"), 1U);
  EXPECT_EQ(edit_distance("sede", "seed"), 1U);  // one swap
  EXPECT_EQ(edit_distance("ca", "abc"), 3U);     // no edits inside a swapped pair
}

TEST(Suggestion, NearestOrAllKnown) {
  const std::vector<std::string> known = {"n_init", "max_iter", "tol"};
  EXPECT_EQ(suggestion("max_iters", known), "; did you mean \"max_iter\"?");
  EXPECT_EQ(suggestion("t0l", known), "; did you mean \"tol\"?");
  EXPECT_EQ(suggestion("k", known), "; known: n_init, max_iter, tol");
  EXPECT_EQ(suggestion(std::string(100'000, 'x'), known), "; known: n_init, max_iter, tol");
}

}  // namespace
}  // namespace phase0::config
