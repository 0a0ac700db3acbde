#include "encoders/manifest_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/text.h"

namespace phase0::encoders {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxNameBytes = 4096;

/// Takes the parts of the JSON text one by one, so that a line of millions of small texts takes no memory but
/// its own.
class LineReader : public nlohmann::json_sax<Json> {
 public:
  LineReader(bool keep_chunks, const ErrorPlace& place) : keep_chunks_(keep_chunks), place_(place) {}

  ManifestLine take() {
    for (const char* key : {"id", "speaker"}) {
      if (!seen_.contains(key)) fail(fmt::format("key \"{}\" is missing", key));
    }
    if (seen_.contains("chunks") == seen_.contains("path")) fail("expected either chunks or path");
    return std::move(line_);
  }
  [[noreturn]] void fail(const std::string& message) const { throw Error(ErrorKind::kData, message, place_); }

  bool start_object(std::size_t) override {
    if (depth_ > 0) fail_nested();
    depth_ = 1;
    return true;
  }
  bool end_object() override { return true; }
  bool key(std::string& text) override {
    if (text != "id" && text != "speaker" && text != "chunks" && text != "path")
      fail(fmt::format("unknown key \"{}\"; known are id, speaker, chunks and path", core::clipped(text)));
    if (!seen_.insert(text).second) fail(fmt::format("key \"{}\" stands twice", text));
    key_ = text;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ == 1 && key_ != "chunks") fail_type();
    if (depth_ != 1) fail_nested();
    depth_ = 2;
    return true;
  }
  bool end_array() override {
    if (n_chunks_ == 0) fail("chunks: expected a list of texts, at least one");
    depth_ = 1;
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2) return add_chunk(text);
    if (depth_ == 0 || key_ == "chunks") fail_type();
    if (text.empty() || text.size() > kMaxNameBytes || text.find('\0') != std::string::npos)
      fail(fmt::format("{}: expected 1 to {} bytes without a zero byte", key_, kMaxNameBytes));
    if (key_ == "path") {
      line_.path = text;
    } else {
      (key_ == "id" ? line_.id : line_.speaker) = text;
    }
    return true;
  }
  bool number_integer(std::int64_t number) override { return take_integer(std::to_string(number)); }
  bool number_unsigned(std::uint64_t number) override { return take_integer(std::to_string(number)); }
  bool number_float(double, const std::string&) override { fail_type(); }
  bool boolean(bool) override { fail_type(); }
  bool null() override { fail_type(); }
  bool binary(Json::binary_t&) override { fail_type(); }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    fail("not a line of JSON");
  }

 private:
  bool add_chunk(std::string& text) {
    if (++n_chunks_ > kMaxSequenceItems) fail(fmt::format("chunks: more than {} texts", kMaxSequenceItems));
    if (keep_chunks_) line_.chunks.push_back(std::move(text));
    return true;
  }
  bool take_integer(const std::string& digits) {
    if (depth_ != 1 || key_ != "speaker") fail_type();
    line_.speaker = digits;
    return true;
  }
  [[noreturn]] void fail_type() const {
    if (depth_ == 0) fail("expected a JSON object");
    if (depth_ == 2) fail(fmt::format("chunks: number {} is no text", n_chunks_));
    if (key_ == "chunks") fail("chunks: expected a list of texts, at least one");
    fail(fmt::format("{}: expected a text{}", key_, key_ == "speaker" ? " or an integer" : ""));
  }
  [[noreturn]] void fail_nested() const {
    if (depth_ == 0) fail("expected a JSON object");
    fail("nested too deep");
  }

  bool keep_chunks_;
  const ErrorPlace& place_;
  ManifestLine line_;
  std::set<std::string> seen_;
  std::string key_;
  int depth_ = 0;  ///< 1 in the object, 2 in its chunks
  std::int64_t n_chunks_ = 0;
};

}  // namespace

ManifestLine parse_manifest_line(std::string_view line, bool keep_chunks, const ErrorPlace& place) {
  LineReader reader(keep_chunks, place);
  Json::sax_parse(line.begin(), line.end(), &reader);
  return reader.take();
}

}  // namespace phase0::encoders
