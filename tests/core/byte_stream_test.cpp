#include "core/byte_stream.h"

#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/memory_units.h"

namespace phase0::core {
namespace {

/// What `read` makes of exactly these bytes.
template <class Read>
void read_back(const std::vector<std::uint8_t>& bytes, const Read& read) {
  test::ByteString sink;
  sink.write(bytes.data(), std::ssize(bytes));
  test::ByteStringSource source(sink.bytes);
  read(source);
}

TEST(ByteStreamTest, AByteThatIsNoFlagIsRefused) {
  read_back({1, 0}, [](ByteSource& source) {
    EXPECT_TRUE(source.get<bool>());
    EXPECT_FALSE(source.get<bool>());
  });
  read_back({2}, [](ByteSource& source) {
    test::expect_error(ErrorKind::kStorage, "something else", [&] { source.get<bool>(); });
  });
}

TEST(ByteStreamTest, ACountIsNeverMoreThanWhatIsLeftCanHold) {
  const std::vector<std::uint8_t> two = {2, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9};
  read_back(two, [](ByteSource& source) { EXPECT_EQ(source.get_count(2), 2); });
  read_back(two, [](ByteSource& source) {
    test::expect_error(ErrorKind::kStorage, "something else", [&] { source.get_count(3); });
  });
  read_back(std::vector<std::uint8_t>(8, 0xff), [](ByteSource& source) {  // -1
    test::expect_error(ErrorKind::kStorage, "something else", [&] { source.get_count(1); });
  });
}

}  // namespace
}  // namespace phase0::core
