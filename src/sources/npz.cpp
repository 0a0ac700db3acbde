#include <algorithm>
#include <optional>
#include <string_view>

#include "sources/npy_array.h"
#include "sources/open_source.h"
#include "sources/zip_stream.h"

namespace phase0::sources {
namespace {

constexpr std::string_view kSuffix = ".npy";

class Npz final : public SequenceReader {
 public:
  explicit Npz(const std::string& path) : file_(path), entries_(read_zip_directory(file_)) {
    for (const ZipEntry& entry : entries_) {
      if (!entry.name.ends_with(kSuffix)) file_.fail("holds " + entry.name + ", which is no .npy array");
      const std::string id = entry.name.substr(0, entry.name.size() - kSuffix.size());
      ZipStream stream(file_, entry);
      const ErrorPlace place{.path = path, .utterance = id};
      const NpyHeader header = read_header(stream, place);
      check_npy_shape(header, 2, entry.bytes - header.bytes, place);
      if (by_columns(header) && entry.deflated) {
        file_.fail(
            "is a compressed array in Fortran order, which cannot be read row by row; save it with "
            "numpy.ascontiguousarray, or uncompressed",
            -1, id);
      }
      sequences_.push_back({id, header.shape[0], header.shape[1], header.type});
    }
  }

  const std::vector<Sequence>& sequences() const override { return sequences_; }

  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    const Sequence& what = sequences_[static_cast<std::size_t>(sequence)];
    if (sequence != opened_ || first < next_) begin(sequence);
    if (columns_) {
      columns_->read(file_, first, n, static_cast<std::byte*>(out));
      next_ = first + n;
      return;
    }
    const std::int64_t row_bytes = what.dim * store::element_size(what.type);
    stream_->skip((first - next_) * row_bytes);
    stream_->read(n * row_bytes, out);
    if (header_.big_endian) swap_bytes(what.type, static_cast<std::byte*>(out), n * what.dim);
    next_ = first + n;
    if (next_ == what.n_frames) stream_->finish();
  }

  std::string path_of(std::int64_t) const override { return file_.path(); }
  std::int64_t read_bytes() const override { return 2 * ZipStream::kBytes + NpyFrames::kReadBytes; }

 private:
  static NpyHeader read_header(ZipStream& stream, const ErrorPlace& place) {
    return read_npy_header([&](std::int64_t n, void* out) { stream.read(n, out); }, place);
  }
  static bool by_columns(const NpyHeader& header) { return header.fortran_order && header.shape[1] > 1; }

  void begin(std::int64_t sequence) {
    opened_ = -1;
    const ZipEntry& entry = entries_[static_cast<std::size_t>(sequence)];
    const std::string& id = sequences_[static_cast<std::size_t>(sequence)].id;
    stream_.emplace(file_, entry);
    header_ = read_header(*stream_, {.path = file_.path(), .utterance = id});
    columns_.reset();
    if (by_columns(header_)) {  // the checksum first, for the columns are then read out of order
      stream_->skip(entry.bytes - header_.bytes);
      stream_->finish();
      columns_.emplace(file_, entry.data, entry.bytes, 2, id);
    }
    next_ = 0;
    opened_ = sequence;
  }

  InputFile file_;
  std::vector<ZipEntry> entries_;
  std::vector<Sequence> sequences_;
  std::int64_t opened_ = -1;
  std::int64_t next_ = 0;  ///< frame that the stream is at
  std::optional<ZipStream> stream_;
  NpyHeader header_;
  std::optional<NpyFrames> columns_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npz(const std::string& path) {
  return std::make_unique<Npz>(path);
}

}  // namespace phase0::sources
