#include "store/unit_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "phase0/error.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using core::ByteSink;
using core::ByteSource;

class UnitFileTest : public ::testing::Test {
 protected:
  void write(const std::vector<double>& values, const std::string& text) {
    write_unit(path_, unit_, [&](ByteSink& sink) {
      sink.put(std::int32_t{7});
      sink.put_all(values);
      sink.put_text(text);
    });
  }
  std::string bytes() const {
    std::ostringstream all;
    all << std::ifstream(path_, std::ios::binary).rdbuf();
    return all.str();
  }
  void replace(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  /// Whether it is refused, with nothing handed over unless all of it is right.
  bool refused() const {
    bool handed_over = false;
    try {
      read_unit(path_, unit_, [&](ByteSource& source) {
        handed_over = true;
        source.get<std::int32_t>();
        source.get_all<double>();
        source.get_text();
      });
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kStorage);
      EXPECT_FALSE(handed_over);
      return true;
    }
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_.file("a.unit");
  core::UnitId unit_{"lag 1: ids", "k1"};
};

TEST_F(UnitFileTest, GivesBackWhatItTook) {
  for (const std::size_t n : {0, 1, 100'000}) {  // more than a buffer
    std::vector<double> values(n);
    std::iota(values.begin(), values.end(), 0.5);
    write(values, "text");
    EXPECT_EQ(unit_info(path_).unit.name, "lag 1: ids");
    EXPECT_EQ(unit_info(path_).unit.key, "k1");
    EXPECT_EQ(unit_info(path_).bytes, static_cast<std::int64_t>(std::filesystem::file_size(path_)));
    read_unit(path_, unit_, [&](ByteSource& source) {
      EXPECT_EQ(source.get<std::int32_t>(), 7);
      std::vector<double> read(n);
      source.get_into(std::span<double>(read));
      EXPECT_EQ(read, values);
      EXPECT_EQ(source.get_text(), "text");
      EXPECT_EQ(source.remaining(), 0);
    });
  }
}

TEST_F(UnitFileTest, EveryChangedByteAndEveryLengthIsRefused) {
  write({1, 2, 3}, "text");
  const std::string whole = bytes();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    replace(changed);
    EXPECT_TRUE(refused()) << i;
    replace(whole.substr(0, i));
    EXPECT_TRUE(refused()) << i;
  }
  replace(whole + 'x');
  EXPECT_TRUE(refused());
  replace(whole);
  EXPECT_FALSE(refused());
}

TEST_F(UnitFileTest, OfAnotherKeyOrNameIsRefused) {
  write({}, "");
  unit_.key = "k2";
  EXPECT_TRUE(refused());
  unit_ = {"lag 2: ids", "k1"};
  EXPECT_TRUE(refused());
}

TEST_F(UnitFileTest, ReadingOtherThanWhatWasWrittenIsRefused) {
  write({1, 2, 3}, "");
  const auto read = [&](const core::UnitStore::Read& how) {
    test::expect_error(ErrorKind::kStorage, "expected", [&] { read_unit(path_, unit_, how); });
  };
  read([](ByteSource& source) { source.get<std::int32_t>(); });  // less than there is
  read([](ByteSource& source) { source.get_all<double>(); });    // a count made of other bytes
  read([](ByteSource& source) {
    source.get<std::int32_t>();
    std::vector<double> two(2);
    source.get_into(std::span<double>(two));
  });
  read([](ByteSource& source) {
    char all[4096];
    source.read(all, sizeof all);
  });
}

TEST_F(UnitFileTest, AFailedWriteLeavesTheEarlierUnit) {
  write({1}, "first");
  const std::string first = bytes();
  EXPECT_THROW(write_unit(path_, unit_,
                          [](ByteSink& sink) {
                            sink.put(1);
                            throw Error(ErrorKind::kInterrupted, "stop");
                          }),
               Error);
  EXPECT_EQ(bytes(), first);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

}  // namespace
}  // namespace phase0::store
