#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "store/h5_dataset.h"
#include "store/h5_reader.h"
#include "store/h5_source.h"

namespace phase0::store {

struct H5Reader::Impl {
  H5Source source;
  /// The datasets that were read last stay open with their decoded chunk: frames and energies are read in
  /// turns.
  std::array<std::unique_ptr<H5StoredDataset>, 2> open;

  Impl(const std::string& path, ErrorKind damage) : source(path, damage) {}

  H5StoredDataset& dataset(const std::string& name) {
    if (open[0] == nullptr || open[0]->name() != name) std::swap(open[0], open[1]);
    if (open[0] == nullptr || open[0]->name() != name) {
      open[0].reset();
      open[0] = std::make_unique<H5StoredDataset>(source, name);
    }
    return *open[0];
  }
};

}  // namespace phase0::store
