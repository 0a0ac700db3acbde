#pragma once

#include <string>
#include <vector>

#include "core/execution.h"
#include "data/latents.h"
#include "data/row_codec.h"
#include "data/row_input.h"
#include "store/h5_reader.h"
#include "store/h5_writer.h"

namespace phase0::run {

/// The file that `quantize` writes: the rows under their name and, of latents, everything else of layout A
/// with the attributes of the input's root that can be read.
class QuantizedFile {
 public:
  /// Creates the file under a temporary name. `latents` are null for a dataset of another file; they and
  /// `input` must outlive it. Throws Error (kStorage).
  QuantizedFile(const std::string& path, const std::string& input_path, const data::RowInput& input,
                const data::Latents* latents);

  /// Writes all but rows and energies, and makes room for those. To be called once.
  void begin(const data::RowCodec& codec);
  /// Of the input's root, those of a kind that is not copied (lists of floats or strings).
  const std::vector<std::string>& dropped_attributes() const { return dropped_attributes_; }
  /// Energies are checked as collect checks them.
  void copy_energy(core::Execution& execution);
  /// To be filled between begin() and commit().
  store::MappedDataset& rows() { return rows_; }
  void commit() { file_.commit(); }

  /// Memory of copy_energy.
  static constexpr std::int64_t kCopyBytes = std::int64_t{2} << 20;

 private:
  void copy_attributes();
  void copy_attribute(const store::H5Reader& from, const std::string& name);
  void write_utterances();

  std::string input_path_;
  const data::RowInput& input_;
  const data::Latents* latents_;
  std::vector<std::string> dropped_attributes_;
  store::H5Writer file_;
  store::MappedDataset rows_;
};

}  // namespace phase0::run
