#include <memory>
#include <string_view>

#include "sources/folder_files.h"
#include "sources/npy_array.h"
#include "sources/open_source.h"

namespace phase0::sources {
namespace {

constexpr std::string_view kNpySuffix = ".npy";

class NpyFolder final : public SequenceReader {
 public:
  explicit NpyFolder(const std::string& folder) : folder_(folder) {
    for (const std::string& id : stems_in_folder(folder, kNpySuffix)) {
      sequences_.push_back({id, 0, 0, {}});
      open(std::ssize(sequences_) - 1);
      Sequence& sequence = sequences_.back();
      sequence = {id, frames_.n_frames(), frames_.dim(), frames_.type()};
    }
  }

  const std::vector<Sequence>& sequences() const override { return sequences_; }

  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    open(sequence);
    frames_.read(file_, first, n, static_cast<std::byte*>(out));
  }

  std::string path_of(std::int64_t sequence) const override {
    if (sequence < 0) return folder_;
    return folder_ + "/" + sequences_[static_cast<std::size_t>(sequence)].id + std::string(kNpySuffix);
  }

  std::int64_t read_bytes() const override { return NpyFrames::kReadBytes; }

 private:
  void open(std::int64_t sequence) {
    if (sequence == opened_) return;
    opened_ = -1;
    file_ = InputFile(path_of(sequence));
    const Sequence& expected = sequences_[static_cast<std::size_t>(sequence)];
    frames_ = NpyFrames(file_, 0, file_.size(), 2, expected.id);
    const bool same = frames_.n_frames() == expected.n_frames && frames_.dim() == expected.dim &&
                      frames_.type() == expected.type;
    if (expected.dim > 0 && !same) file_.fail("was changed while it was in use", -1, expected.id);
    opened_ = sequence;
  }

  std::string folder_;
  std::vector<Sequence> sequences_;
  std::int64_t opened_ = -1;
  InputFile file_;
  NpyFrames frames_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npy_folder(const std::string& folder) {
  return std::make_unique<NpyFolder>(folder);
}

}  // namespace phase0::sources
