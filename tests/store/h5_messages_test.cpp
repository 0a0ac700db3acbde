#include "store/h5_messages.h"

#include <gtest/gtest.h>

#include <string>

#include "support/expect_error.h"

namespace phase0::store {
namespace {

using namespace std::string_literals;
using test::expect_error;

void check_link(const std::string& body) {
  constexpr unsigned kLink = 0x06;
  H5Parts parts;
  check_message({.type = kLink, .flags = 0},
                {std::as_bytes(std::span(body)), {.path = "f.h5", .object = "/group"}},
                {.address_bytes = 8, .length_bytes = 8, .headers = {}}, parts);
}

const std::string kAddress(8, '\1');

TEST(H5Messages, LinksThatHdf5Writes) {
  check_link("\1\0\2id"s + kAddress);
  check_link("\1\1\2\0id"s + kAddress);                // a length of two bytes
  check_link("\1\x10\1\2id"s + kAddress);              // UTF-8
  check_link("\1\4"s + kAddress + "\2id" + kAddress);  // numbered
  check_link("\1\x8\1\2id\5\0there"s);                 // soft
  check_link("\1\x8\x40\2id\3\0\0f\0"s);               // external
}

/// HDF5 gives up on a group with such a link and frees links that it has not read.
TEST(H5Messages, LinksThatHdf5DoesNotDecode) {
  const auto refused = [](const std::string& reason, const std::string& body) {
    expect_error(ErrorKind::kData, reason, [&] { check_link(body); });
  };
  refused("a link that is not known", "\2\0\2id"s + kAddress);
  refused("a link that is not known", "\1\x20\2id"s + kAddress);
  refused("a link that is not known", "\1\x8\2\2id\5\0there"s);
  refused("a link that is not known", "\1\x8\x3f\2id\5\0there"s);
  refused("unknown character set", "\1\x10\2\2id"s + kAddress);
  refused("a link without a name", "\1\0\0"s + kAddress);
  refused("a link to nothing", "\1\x8\1\2id\0\0"s);
  refused("a link to nothing", "\1\x8\x40\2id\0\0"s);  // HDF5 looked for the version of it
  refused("it ends too early", "\1\0\2id"s + kAddress.substr(1));
}

}  // namespace
}  // namespace phase0::store
