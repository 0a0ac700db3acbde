#include "core/byte_stream.h"

#include "phase0/error.h"

namespace phase0::core {
namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorKind::kStorage, "holds something else than what is expected there");
}

}  // namespace

void ByteSource::read(void* out, std::int64_t size) {
  if (size > remaining()) refuse();
  take(out, size);
}

std::int64_t ByteSource::get_count(std::int64_t least_bytes) {
  const auto n = get<std::int64_t>();
  if (n < 0 || n > remaining() / least_bytes) refuse();
  return n;
}

bool ByteSource::get_flag() {
  const auto byte = get<std::uint8_t>();
  if (byte > 1) refuse();  // no value of a bool
  return byte != 0;
}

void ByteSource::expect_count(std::int64_t count, std::int64_t expected) {
  if (count != expected) refuse();
}

std::string ByteSource::get_text() {
  std::string text(static_cast<std::size_t>(get_count(1)), '\0');
  read(text.data(), std::ssize(text));
  return text;
}

}  // namespace phase0::core
