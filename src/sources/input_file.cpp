#include "sources/input_file.h"

#include <utility>

namespace phase0::sources {

InputFile::InputFile(const std::string& path)
    : file_(store::open_regular_file(path, ErrorKind::kData)),
      path_(path),
      size_(store::file_size(file_, path)) {}

InputFile::InputFile(store::FileDescriptor file, const std::string& path)
    : file_(std::move(file)), path_(path), size_(store::file_size(file_, path)) {}

void InputFile::read(std::int64_t offset, std::int64_t n, void* out) const {
  store::read_exactly(file_, offset, n, out, path_, ErrorKind::kData);
}

void InputFile::fail(const std::string& message, std::int64_t offset, const std::string& sequence) const {
  throw Error(ErrorKind::kData, message, {.path = path_, .utterance = sequence, .offset = offset});
}

}  // namespace phase0::sources
