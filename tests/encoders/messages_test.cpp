#include "encoders/messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "encoders/encoder_error.h"

namespace phase0::encoders {
namespace {

constexpr const char* kHello =
    R"({"type":"hello","protocol":1,"name":"mock","input":"text","dim":4,"dtype":"float32","frame_rate_hz":1.5,)"
    R"("max_items":16,"max_item_bytes":1000,"max_item_frames":5,"further":{"keys":[]}})";

/// kHello with one key of another value; an empty value takes it out.
std::string hello_with(const std::string& key, const std::string& value) {
  auto json = nlohmann::json::parse(kHello);
  json.erase(key);
  if (!value.empty()) json[key] = nlohmann::json::parse(value);
  return json.dump();
}

void expect_failure(Failure failure, const std::string& fragment, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with \"" << fragment << "\"";
  } catch (const EncoderError& error) {
    EXPECT_STREQ(to_string(error.failure()), to_string(failure)) << error.what();
    EXPECT_NE(std::string(error.what()).find(fragment), std::string::npos) << error.what();
  }
}

TEST(Messages, QuestionsAreLinesOfJson) {
  EXPECT_EQ(
      nlohmann::json::parse(hello_line("cpu\n\xff", 3)),
      nlohmann::json({{"type", "hello"}, {"protocol", 1}, {"device", "cpu\n\xef\xbf\xbd"}, {"threads", 3}}));
  const std::string_view items[] = {"ab", "", "cde"};
  const std::string line = encode_line(7, items);
  EXPECT_EQ(nlohmann::json::parse(line),
            nlohmann::json({{"type", "encode"}, {"id", 7}, {"items", {2, 0, 3}}, {"bytes", 5}}));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(bye_line(), "{\"type\":\"bye\"}\n");
}

TEST(Messages, LongestQuestionFitsALine) {
  const std::string item(kMaxItemBytes, 'x');
  const std::vector<std::string_view> items(kMaxItems, item);
  EXPECT_LE(std::ssize(encode_line(std::int64_t{1} << 53, items)), kMaxLineBytes);
}

TEST(Messages, HelloIsRead) {
  const Hello hello = parse_hello(kHello);
  EXPECT_EQ(hello.name, "mock");
  EXPECT_EQ(hello.input, ItemKind::kText);
  EXPECT_EQ(hello.dim, 4);
  EXPECT_EQ(hello.dtype, store::ElementType::kFloat32);
  EXPECT_EQ(hello.frame_rate_hz, 1.5);
  EXPECT_EQ(hello.max_items, 16);
  EXPECT_EQ(hello.max_item_bytes, 1000);
  EXPECT_EQ(hello.max_item_frames, 5);
  EXPECT_EQ(parse_hello(hello_with("dtype", "\"float16\"")).row_bytes(), 8);
  EXPECT_EQ(parse_hello(hello_with("input", "\"wav\"")).input, ItemKind::kWav);
}

TEST(Messages, HelloWithinItsBounds) {
  const std::pair<const char*, std::vector<const char*>> wrong[] = {
      {"type", {"", "1", "\"rows\""}},
      {"protocol", {"", "0", "2", "1.0", "\"1\""}},
      {"name", {"", "\"\"", "3", "\"a\\u0007\"", "null"}},
      {"input", {"", "\"sound\"", "1"}},
      {"dim", {"", "0", "-1", "65537", "1e3", "18446744073709551615", "\"4\"", "[4]"}},
      {"dtype", {"", "\"float64\"", "\"int32\"", "4"}},
      {"frame_rate_hz", {"", "0", "-1", "\"1\"", "null"}},
      {"max_items", {"", "0", "4097", "true"}},
      {"max_item_bytes", {"", "0", "16777217"}},
      {"max_item_frames", {"", "0", "10000001", "99999999999999999999"}},
  };
  for (const auto& [key, values] : wrong) {
    for (const char* value : values)
      expect_failure(Failure::kProtocol, key, [&, name = key] { parse_hello(hello_with(name, value)); });
  }
}

TEST(Messages, WhatIsNoJsonObjectIsShownCutShort) {
  for (const char* line : {"", "hello", "[]", "3", "{\"type\":", "\xff\xfe", "nul\0l"})
    expect_failure(Failure::kProtocol, "expected a", [&] { parse_hello(line); });
  expect_failure(Failure::kProtocol, "xxx...\"", [] { parse_hello(std::string(60'000, 'x')); });
  const std::string deep = "{\"a\":" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  expect_failure(Failure::kProtocol, "too deep", [&] { parse_hello(deep); });
}

TEST(Messages, RowsAreCounted) {
  const Hello hello = parse_hello(kHello);
  const RowsHeader header =
      parse_rows(R"({"type":"rows","id":9,"frames":[1,0,5],"bytes":96})", hello, {9, 3});
  EXPECT_EQ(header.frames, (std::vector<std::int64_t>{1, 0, 5}));
  EXPECT_EQ(header.n_rows, 6);
  EXPECT_EQ(header.n_bytes, 96);
}

TEST(Messages, RowsThatDoNotFitAreRefused) {
  const Hello hello = parse_hello(kHello);
  const std::pair<const char*, Failure> wrong[] = {
      {R"({"type":"rows","id":8,"frames":[1],"bytes":16})", Failure::kProtocol},
      {R"({"type":"rows","frames":[1],"bytes":16})", Failure::kProtocol},
      {R"({"type":"row","id":9,"frames":[1],"bytes":16})", Failure::kProtocol},
      {R"({"type":"rows","id":9,"frames":1,"bytes":16})", Failure::kProtocol},
      {R"({"type":"rows","id":9,"frames":[1]})", Failure::kProtocol},
      {R"({"type":"rows","id":9,"frames":[1],"bytes":-16})", Failure::kProtocol},
      {R"({"type":"rows","id":9,"frames":[],"bytes":0})", Failure::kRows},
      {R"({"type":"rows","id":9,"frames":[1,1],"bytes":32})", Failure::kRows},
      {R"({"type":"rows","id":9,"frames":[6],"bytes":96})", Failure::kRows},
      {R"({"type":"rows","id":9,"frames":[-1],"bytes":0})", Failure::kRows},
      {R"({"type":"rows","id":9,"frames":[1.0],"bytes":16})", Failure::kRows},
      {R"({"type":"rows","id":9,"frames":[1],"bytes":15})", Failure::kRows},
  };
  for (const auto& [line, failure] : wrong)
    expect_failure(failure, "", [&, text = line] { parse_rows(text, hello, {9, 1}); });
}

TEST(Messages, ErrorsHaveTheirKind) {
  const Hello hello = parse_hello(kHello);
  const auto parse = [&](const std::string& rest) {
    parse_rows(R"({"type":"error","id":9,"message":"why",)" + rest + "}", hello, {9, 3});
  };
  expect_failure(Failure::kOutOfMemory, "why", [&] { parse(R"("kind":"oom")"); });
  expect_failure(Failure::kInternal, "why", [&] { parse(R"("kind":"internal")"); });
  expect_failure(Failure::kProtocol, "kind", [&] { parse(R"("kind":"other")"); });
  expect_failure(Failure::kProtocol, "item", [&] { parse(R"("kind":"input")"); });
  expect_failure(Failure::kProtocol, "item", [&] { parse(R"("kind":"input","item":3)"); });
  try {
    parse(R"("kind":"input","item":2)");
    FAIL();
  } catch (const EncoderError& error) {
    EXPECT_EQ(error.failure(), Failure::kInput);
    EXPECT_EQ(error.item(), 2);
    EXPECT_TRUE(error.is_usable());
    EXPECT_EQ(error.exit_code(), 3);
  }
}

}  // namespace
}  // namespace phase0::encoders
