#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "store/element_type.h"

/// The lines of the encoder protocol (data/ENCODER.md), as text and as values.
namespace phase0::encoders {

inline constexpr std::int64_t kMaxLineBytes = 65'536;  ///< with the newline
inline constexpr std::int64_t kMaxItems = 4'096;
inline constexpr std::int64_t kMaxItemBytes = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxItemFrames = 10'000'000;
inline constexpr std::int64_t kMaxDim = 65'536;

/// What an item is.
enum class ItemKind {
  kText,  ///< a text in UTF-8
  kWav,   ///< the absolute path of a wav file
};
const char* to_string(ItemKind kind);

/// What an encoder says of itself; every number is within the bounds of the protocol.
struct Hello {
  std::string name;
  ItemKind input = ItemKind::kText;
  std::int64_t dim = 0;
  store::ElementType dtype = store::ElementType::kFloat32;
  double frame_rate_hz = 0;
  std::int64_t max_items = 0;
  std::int64_t max_item_bytes = 0;
  std::int64_t max_item_frames = 0;

  bool operator==(const Hello&) const = default;
  /// Of one row.
  std::int64_t row_bytes() const { return dim * store::element_size(dtype); }
};

/// What precedes the rows of an answer. Their number and size agree.
struct RowsHeader {
  std::vector<std::int64_t> frames;  ///< of each item
  std::int64_t n_rows = 0;           ///< their sum
  std::int64_t n_bytes = 0;
};

/// The question that an answer must fit.
struct Question {
  std::int64_t id = 0;
  std::int64_t n_items = 0;
};

/// Lines to send, with their newline. Their raw bytes follow.
std::string hello_line(const std::string& device, int threads);
std::string encode_line(std::int64_t id, std::span<const std::string_view> items);
std::string bye_line();

/// The answers, without the newline. Throw EncoderError: kProtocol or kRows for what breaks the rules, and
/// what the encoder itself says is wrong (kOutOfMemory, kInput, kInternal).
Hello parse_hello(std::string_view line);
RowsHeader parse_rows(std::string_view line, const Hello& hello, const Question& question);

}  // namespace phase0::encoders
