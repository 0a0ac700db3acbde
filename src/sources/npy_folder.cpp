#include <algorithm>
#include <memory>
#include <string_view>

#include "sources/folder_files.h"
#include "sources/npy_array.h"
#include "sources/npy_header.h"
#include "sources/open_source.h"
#include "sources/sequence_list.h"

namespace phase0::sources {
namespace {

/// The .npy files in byte order of their ids; what is in them is not known yet.
void list_files(const std::string& folder, SequenceList& list) {
  for_stems_in_folder(folder, kNpySuffix, [&](std::string_view id) {
    list.add({std::string(id), 0, 0, {}});
  });
  list.finish();
  std::sort(list.kept().begin(), list.kept().end(),
            [](const Sequence& a, const Sequence& b) { return a.id < b.id; });
}

class NpyFolder final : public SequenceReader {
 public:
  NpyFolder(const std::string& folder, const SourceRoom& room) : folder_(folder), sequences_(room.memory) {
    list_files(folder, sequences_);
    for (std::int64_t s = 0; s < sequences_.count(); ++s) {
      open(s);
      Sequence& sequence = sequences_.kept()[static_cast<std::size_t>(s)];
      sequence.n_frames = frames_.n_frames();
      sequence.dim = frames_.dim();
      sequence.type = frames_.type();
    }
  }

  const std::vector<Sequence>& sequences() const override { return sequences_.kept(); }

  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    open(sequence);
    frames_.read(file_, first, n, static_cast<std::byte*>(out));
  }

  std::string path_of(std::int64_t sequence) const override {
    if (sequence < 0) return folder_;
    return folder_ + "/" + sequences()[static_cast<std::size_t>(sequence)].id + std::string(kNpySuffix);
  }

  std::int64_t read_bytes() const override { return NpyFrames::kReadBytes; }

 private:
  void open(std::int64_t sequence) {
    if (sequence == opened_) return;
    opened_ = -1;
    file_ = InputFile(path_of(sequence));
    const Sequence& expected = sequences()[static_cast<std::size_t>(sequence)];
    frames_ = NpyFrames(file_, 0, file_.size(), 2, expected.id);
    const bool same = frames_.n_frames() == expected.n_frames && frames_.dim() == expected.dim &&
                      frames_.type() == expected.type;
    if (expected.dim > 0 && !same) file_.fail("was changed while it was in use", -1, expected.id);
    opened_ = sequence;
  }

  std::string folder_;
  SequenceList sequences_;
  std::int64_t opened_ = -1;
  InputFile file_;
  NpyFrames frames_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npy_folder(const std::string& folder, const SourceRoom& room) {
  return std::make_unique<NpyFolder>(folder, room);
}

}  // namespace phase0::sources
