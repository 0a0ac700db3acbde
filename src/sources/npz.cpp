#include <algorithm>
#include <optional>
#include <string_view>

#include "core/text.h"
#include "sources/npy_array.h"
#include "sources/open_source.h"
#include "sources/sequence_list.h"
#include "sources/zip_stream.h"
#include "store/file_system.h"
#include "store/scratch_file.h"

namespace phase0::sources {
namespace {

class Npz final : public SequenceReader {
 public:
  Npz(const std::string& path, const SourceRoom& room)
      : file_(path),
        folder_(room.folder),
        memory_(room.memory),
        sequences_(room.memory),
        entries_(read_zip_directory(file_, sequences_)) {
    for (const ZipEntry& entry : entries_) {
      if (!entry.name.ends_with(kNpySuffix))
        file_.fail("holds " + core::clipped(entry.name) + ", which is no .npy array");
      const std::string id = entry.name.substr(0, entry.name.size() - kNpySuffix.size());
      ZipStream stream(file_, entry);
      const ErrorPlace place{.path = path, .utterance = id};
      const NpyHeader header = read_header(stream, place);
      check_npy_shape(header, 2, entry.bytes - header.bytes, place);
      sequences_.add({id, header.shape[0], header.shape[1], header.type});
    }
    sequences_.finish();
  }

  const std::vector<Sequence>& sequences() const override { return sequences_.kept(); }

  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    const Sequence& what = sequences()[static_cast<std::size_t>(sequence)];
    if (sequence != opened_ || first < next_) begin(sequence);
    if (columns_) {
      columns_->read(unpacked_ ? unpacked_ : file_, first, n, static_cast<std::byte*>(out));
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
    const std::string& id = sequences()[static_cast<std::size_t>(sequence)].id;
    stream_.emplace(file_, entry);
    const ErrorPlace place{.path = file_.path(), .utterance = id};
    header_ = read_header(*stream_, place);
    check_npy_shape(header_, 2, entry.bytes - header_.bytes, place);
    require_unchanged(sequence, header_.shape[0], header_.shape[1], header_.type);
    columns_.reset();
    if (by_columns(header_)) {
      begin_columns(entry, id);
      require_unchanged(sequence, columns_->n_frames(), columns_->dim(), columns_->type());
    }
    next_ = 0;
    opened_ = sequence;
  }

  void require_unchanged(std::int64_t sequence, std::int64_t n_frames, std::int64_t dim,
                         store::ElementType type) const {
    const Sequence& known = sequences()[static_cast<std::size_t>(sequence)];
    if (n_frames != known.n_frames || dim != known.dim || type != known.type)
      file_.fail("was changed while it was in use", -1, known.id);
  }

  /// Columns are read out of order: the checksum first, and what is packed into a file of its own.
  void begin_columns(const ZipEntry& entry, const std::string& id) {
    unpacked_ = {};
    in_memory_ = {};
    if (entry.deflated) {
      unpack(entry);
      columns_.emplace(unpacked_, 0, entry.bytes, 2, id);
      return;
    }
    stream_->skip(entry.bytes - header_.bytes);
    stream_->finish();
    columns_.emplace(file_, entry.data, entry.bytes, 2, id);
  }

  void unpack(const ZipEntry& entry) {
    if (store::lies_in_memory(folder_)) {
      in_memory_ = core::Reservation(memory_, entry.bytes, "an unpacked array on tmpfs");
    }
    store::FileDescriptor scratch = store::open_scratch_file(folder_);
    stream_.emplace(file_, entry);
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min(entry.bytes, ZipStream::kBytes)));
    for (std::int64_t done = 0; done < entry.bytes;) {
      const std::int64_t n = std::min(entry.bytes - done, std::ssize(piece));
      stream_->read(n, piece.data());
      store::write_exactly(scratch, done, n, piece.data(), folder_);
      done += n;
    }
    stream_->finish();
    unpacked_ = InputFile(std::move(scratch), file_.path());
  }

  InputFile file_;
  std::string folder_;
  core::MemoryBudget& memory_;
  SequenceList sequences_;
  std::vector<ZipEntry> entries_;
  std::int64_t opened_ = -1;
  std::int64_t next_ = 0;  ///< frame that the stream is at
  std::optional<ZipStream> stream_;
  NpyHeader header_;
  std::optional<NpyFrames> columns_;
  InputFile unpacked_;  ///< the array of columns_, where it was deflated
  core::Reservation in_memory_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npz(const std::string& path, const SourceRoom& room) {
  return std::make_unique<Npz>(path, room);
}

}  // namespace phase0::sources
