#include "data/row_input.h"

#include "data/latents_contents.h"
#include "store/h5_reader.h"

namespace phase0::data {
namespace {

class FrameRows final : public RowInput {
 public:
  explicit FrameRows(const Latents& latents) : latents_(latents) {}

  const std::string& path() const override { return latents_.path(); }
  const std::string& dataset() const override { return dataset_; }
  std::int64_t n_rows() const override { return latents_.n_frames(); }
  const RowCodec& codec() const override { return latents_.codec(); }
  bool mappable() const override { return latents_.mappable(); }
  store::MappedDataset map() const override { return latents_.map_frames(); }
  void read(std::int64_t first, std::int64_t n, void* out) const override {
    latents_.read_frames(first, n, out);
  }
  std::int64_t read_bytes() const override { return latents_.read_bytes(); }
  ErrorPlace place(std::int64_t row) const override {
    const std::int64_t u = latents_.find(row);
    const Utterance& utterance = latents_.utterances()[static_cast<std::size_t>(u)];
    return {.path = path(),
            .dataset = latents_.frames_name(u),
            .utterance = utterance.id,
            .frame = row - utterance.offset};
  }

 private:
  const Latents& latents_;
  const std::string dataset_ = "/x";
};

class DatasetRows final : public RowInput {
 public:
  DatasetRows(const std::string& path, const std::string& dataset)
      : file_(path), dataset_(dataset), info_(check_frames(file_, dataset, true)) {
    codec_ =
        is_quantised(file_, dataset) ? read_quantised(file_, dataset) : RowCodec(*info_.type, info_.shape[1]);
    mappable_ = info_.contiguous && info_.offset % store::element_size(*info_.type) == 0;
  }

  const std::string& path() const override { return file_.path(); }
  const std::string& dataset() const override { return dataset_; }
  std::int64_t n_rows() const override { return info_.shape[0]; }
  const RowCodec& codec() const override { return codec_; }
  bool mappable() const override { return mappable_; }
  store::MappedDataset map() const override { return file_.map(dataset_, codec_.stored_type()); }
  void read(std::int64_t first, std::int64_t n, void* out) const override {
    file_.read_rows(dataset_, codec_.stored_type(), first, n, out);
  }
  std::int64_t read_bytes() const override { return 3 * info_.chunk_row_bytes; }
  ErrorPlace place(std::int64_t row) const override {
    return {.path = path(), .dataset = dataset_, .frame = row};
  }

 private:
  store::H5Reader file_;
  std::string dataset_;
  store::DatasetInfo info_;
  RowCodec codec_;
  bool mappable_ = false;
};

}  // namespace

std::unique_ptr<RowInput> frame_rows(const Latents& latents) {
  return std::make_unique<FrameRows>(latents);
}

std::unique_ptr<RowInput> dataset_rows(const std::string& path, const std::string& dataset) {
  return std::make_unique<DatasetRows>(path, dataset);
}

}  // namespace phase0::data
