// What is refused before any key is looked at.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "config_cases.h"

namespace phase0::config {
namespace {

TEST(Syntax, DuplicateKeyNamesBothLines) {
  EXPECT_EQ(message_of("seed: 1\nseed: 2\n"), "c.yaml:4: duplicate key \"seed\" (first on line 3)");
  EXPECT_EQ(message_of("context:\n  lags: [1]\n  lags: [2]\n"),
            "c.yaml:5: duplicate key \"lags\" (first on line 4)");
  EXPECT_EQ(message_of("seed: 1\n\"seed\": 2\n"), "c.yaml:4: duplicate key \"seed\" (first on line 3)");
}

TEST(Syntax, AnchorsAliasesAndMergesAreRefused) {
  EXPECT_EQ(message_of("context: &a {window_size: 3}\n"), "c.yaml:3: YAML anchors (&name) are not accepted");
  EXPECT_EQ(message_of("seed: &a 3\n"), "c.yaml:3: YAML anchors (&name) are not accepted");
  EXPECT_EQ(message_of("seed: &a\n"), "c.yaml:3: YAML anchors (&name) are not accepted");
  EXPECT_EQ(message_of("context: {lags: &a [1]}\n"), "c.yaml:3: YAML anchors (&name) are not accepted");
  EXPECT_NE(message_of("seed: *a\n").find("c.yaml:3: "), std::string::npos);
  EXPECT_NE(message_of("<<: {seed: 3}\n").find("unknown key \"<<\" at the top level"), std::string::npos);
}

TEST(Syntax, TagsAreRefused) {
  EXPECT_NE(message_of("seed: !!str 3\n").find("c.yaml:3: YAML tags are not accepted"), std::string::npos);
  EXPECT_NE(message_of("context: !thing {lags: [1]}\n").find("YAML tags are not accepted"),
            std::string::npos);
}

TEST(Syntax, OneDocumentOnly) {
  const Error error = rejection("---\n" + kMinimal + "---\nseed: 3\n");
  EXPECT_NE(error.message().find("expected a single YAML document"), std::string::npos);
  EXPECT_NO_THROW(parse("---\n" + kMinimal + "...\n", "c.yaml", {}));
}

TEST(Syntax, ErrorsOfTheParserCarryTheLine) {
  const Error flow = rejection(kMinimal + "seed: 1\ncontext: {lags: [1, 2}\n");
  EXPECT_EQ(flow.place().line, 4);
  EXPECT_EQ(flow.place().path, "c.yaml");
  EXPECT_TRUE(flow.message().starts_with("invalid YAML: ")) << flow.what();
  EXPECT_EQ(rejection("seed: 1\n\tdata: 3\n").place().line, 2);
}

TEST(Syntax, DepthIsBounded) {
  const Error error = rejection("vae: " + std::string(100'000, '['));
  EXPECT_EQ(error.message(), "nested deeper than 32 levels");
  EXPECT_EQ(rejection("vae: " + std::string(100'000, '{')).message(), "nested deeper than 32 levels");
}

TEST(Syntax, SizeIsBounded) {
  const std::string limit = "larger than the limit of 1 MiB for a configuration";
  const std::string comment = "#" + std::string((1 << 20) - 1 - kMinimal.size(), 'x');
  EXPECT_NO_THROW(parse(kMinimal + comment, "c.yaml", {}));
  EXPECT_EQ(rejection(kMinimal + comment + "x").message(), limit);
}

TEST(Syntax, NumberOfKeysIsBounded) {
  std::string text = "vae:\n";
  for (int i = 0; i <= 1000; ++i) text += "  k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(rejection(text).message(), "more than 1000 keys in one mapping");
}

TEST(Syntax, OnlyCleanUtf8) {
  // yaml-cpp takes 0x04 for the end of its input and would skip the rest.
  EXPECT_EQ(message_of("\x04unknown: 1\n"), "c.yaml:3: control character 0x04; expected UTF-8 text");
  EXPECT_EQ(message_of("# \xc2\x9b"
                       "2J\n"),
            "c.yaml:3: control character 0x9b; expected UTF-8 text");
  EXPECT_EQ(message_of("seed: 1\n# \xff\n"), "c.yaml:4: invalid UTF-8 0xff; expected UTF-8 text");
  EXPECT_EQ(rejection(std::string("s\0e\0", 4)).message(), "control character 0x00; expected UTF-8 text");
  EXPECT_NO_THROW(parse("# \xc3\xa9\r\n" + kMinimal, "c.yaml", {}));
}

TEST(Syntax, KeysAreText) {
  EXPECT_NE(message_of("? [a, b]\n: 3\n").find("expected a key, got a list"), std::string::npos);
  EXPECT_NE(message_of("~: 3\n").find("expected a key, got nothing"), std::string::npos);
}

TEST(File, MissingAndUnreadable) {
  const std::string folder = testing::TempDir();
  for (const std::string& path : {folder + "/absent.yaml", folder}) {
    try {
      load(path, {});
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_EQ(error.place().path, path);
      EXPECT_TRUE(error.message().starts_with("cannot read the configuration: ")) << error.what();
    }
  }
}

TEST(File, APipeWithoutAWriterIsEmptyNotWaitedFor) {
  const std::string path = testing::TempDir() + "/phase0_config_pipe_test";
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(load(path, {}), Error);
  std::filesystem::remove(path);
}

TEST(File, LoadReadsWhatParseReads) {
  const std::string path = testing::TempDir() + "/phase0_config_load_test.yaml";
  std::ofstream(path) << kMinimal << "seed: 7\n";
  EXPECT_EQ(dump(load(path, {"context.window_size=3"})),
            dump(parse(kMinimal + "seed: 7\n", "c.yaml", {"context.window_size=3"})));
  std::ofstream(path) << kMinimal << std::string(3 << 20, '#');
  EXPECT_THROW(load(path, {}), Error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace phase0::config
