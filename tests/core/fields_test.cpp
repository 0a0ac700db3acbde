#include "core/fields.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/memory_units.h"

namespace phase0::core {

struct Leaf {
  std::string name;
  bool flag = false;
};
struct Tree {
  std::int64_t number = 0;
  std::vector<float> values;
  std::vector<Leaf> leaves;
  std::vector<std::vector<double>> nested;
  std::optional<Leaf> some, none;
};

template <class Visit, Like<Leaf> T>
void each_field(Visit& visit, T& leaf) {
  visit(leaf.name, leaf.flag);
}
template <class Visit, Like<Tree> T>
void each_field(Visit& visit, T& tree) {
  visit(tree.number, tree.values, tree.leaves, tree.nested, tree.some, tree.none);
}

namespace {

std::string bytes_of_a_tree() {
  const Tree tree{-7, {1.5F, 2.5F}, {{"a", true}, {"", false}}, {{}, {3, 4}}, Leaf{"b", true}, std::nullopt};
  test::ByteString sink;
  write_fields(sink, tree);
  return sink.bytes;
}

TEST(Fields, EveryKindComesBack) {
  const std::string bytes = bytes_of_a_tree();
  test::ByteStringSource source(bytes);
  const Tree tree = read_fields<Tree>(source);
  EXPECT_EQ(source.remaining(), 0);
  EXPECT_EQ(tree.number, -7);
  EXPECT_EQ(tree.values, (std::vector<float>{1.5F, 2.5F}));
  ASSERT_EQ(tree.leaves.size(), 2U);
  EXPECT_EQ(tree.leaves[0].name, "a");
  EXPECT_TRUE(tree.leaves[0].flag);
  EXPECT_FALSE(tree.leaves[1].flag);
  EXPECT_EQ(tree.nested, (std::vector<std::vector<double>>{{}, {3, 4}}));
  ASSERT_TRUE(tree.some);
  EXPECT_EQ(tree.some->name, "b");
  EXPECT_FALSE(tree.none);
}

TEST(Fields, WhatIsCutOffAnywhereIsRefused) {
  const std::string whole = bytes_of_a_tree();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::string bytes = whole.substr(0, n);
    test::ByteStringSource source(bytes);
    test::expect_error(ErrorKind::kStorage, "", [&] { read_fields<Tree>(source); });
  }
}

TEST(Fields, ACountOfMoreThanIsLeftIsRefusedBeforeRoomIsMade) {
  test::ByteString sink;
  sink.put(std::int64_t{1} << 40);
  test::ByteStringSource source(sink.bytes);
  test::expect_error(ErrorKind::kStorage, "", [&] { read_fields<std::vector<Leaf>>(source); });
}

}  // namespace
}  // namespace phase0::core
