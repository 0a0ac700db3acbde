#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/latents.h"
#include "data/row_codec.h"
#include "store/mapped.h"

namespace phase0::data {

/// Rows of a 2-d dataset, whatever kind of file they stand in. Not thread-safe, but for what map() gives.
class RowInput {
 public:
  virtual ~RowInput() = default;
  virtual const std::string& path() const = 0;
  virtual const std::string& dataset() const = 0;
  virtual std::int64_t n_rows() const = 0;
  virtual const RowCodec& codec() const = 0;
  /// Whether map() gives the rows where they lie.
  virtual bool mappable() const = 0;
  virtual store::MappedDataset map() const = 0;
  /// Rows [first, first + n) as codec() keeps them.
  virtual void read(std::int64_t first, std::int64_t n, void* out) const = 0;
  /// Memory that reading takes beside the caller's buffer, at most.
  virtual std::int64_t read_bytes() const = 0;
  /// For messages about a row.
  virtual ErrorPlace place(std::int64_t row) const = 0;
};

/// The frames of a latents file, which must outlive it.
std::unique_ptr<RowInput> frame_rows(const Latents& latents);
/// A 2-d dataset of floats, or a quantised one, of any HDF5 file. Throws Error (kData).
std::unique_ptr<RowInput> dataset_rows(const std::string& path, const std::string& dataset);

}  // namespace phase0::data
