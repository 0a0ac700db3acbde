// Quantised datasets in files: their tables, which may come from anywhere, are checked as everything is.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/checked.h"
#include "core/text.h"
#include "data/row_codec.h"

namespace phase0::data {
namespace {

using store::ElementType;

constexpr const char* kKind = "quantization";
constexpr const char* kGroup = "group_size";
constexpr const char* kDim = "dim";
/// Tables are held in memory, for every column: 64 MiB at most.
constexpr std::int64_t kMostColumns = std::int64_t{1} << 20;

/// The quantisation of a dataset, as it is read.
class TableReader {
 public:
  TableReader(const store::H5Reader& file, const std::string& dataset, ErrorKind damage)
      : file_(file), dataset_(dataset), damage_(damage), info_(file.info(dataset)) {}

  RowCodec read() const {
    Quantization tables;
    tables.kind = read_kind();
    const std::int64_t dim = read_dim(tables.kind);
    tables.group = file_.has_attribute(dataset_, kGroup) ? file_.read_int(dataset_, kGroup) : 1;
    if (tables.group < 1 || tables.group > dim) {
      fail(dataset_, fmt::format("attribute {} is {}; 1 to {} were expected", kGroup, tables.group, dim));
    }
    const std::int64_t groups = core::ceil_div(dim, tables.group);
    if (tables.kind == Quantization::Kind::kInt8) {
      tables.scale = read_table("scale", {groups});
      tables.offset = read_table("offset", {groups});
      check_range(tables);
    } else {
      tables.palette = read_table("palette", {groups, kPaletteEntries});
      check_palette(tables.palette);
    }
    return {std::move(tables), dim};
  }

 private:
  [[noreturn]] void fail(const std::string& object, const std::string& message) const {
    throw Error(damage_, message, ErrorPlace{.path = file_.path(), .dataset = object});
  }

  Quantization::Kind read_kind() const {
    const std::string kind = file_.read_string(dataset_, kKind);
    if (kind != "int8" && kind != "int4") {
      fail(dataset_, fmt::format("attribute {} is \"{}\"; \"int8\" or \"int4\" was expected", kKind,
                                 core::clipped(kind)));
    }
    const ElementType type = kind == "int8" ? ElementType::kInt8 : ElementType::kUInt8;
    if (info_.type != type) {
      fail(dataset_, fmt::format("has the wrong type: {} is kept as {}", kind, store::to_string(type)));
    }
    if (info_.shape.size() != 2) {
      fail(dataset_, fmt::format("has {} dimensions; 2 were expected", info_.shape.size()));
    }
    return kind == "int8" ? Quantization::Kind::kInt8 : Quantization::Kind::kInt4;
  }

  std::int64_t read_dim(Quantization::Kind kind) const {
    const std::int64_t columns = info_.shape[1];
    std::int64_t dim = columns;
    if (kind == Quantization::Kind::kInt4) {
      if (!file_.has_attribute(dataset_, kDim)) fail(dataset_, "attribute dim is missing");
      dim = file_.read_int(dataset_, kDim);
      if (dim < 1 || dim > std::numeric_limits<std::int64_t>::max() / 2 ||
          core::ceil_div(dim, 2) != columns) {
        fail(dataset_,
             fmt::format("attribute dim is {}, but rows have {} bytes of two values", dim, columns));
      }
    }
    if (dim < 1) fail(dataset_, "has latent dimension 0");
    if (dim > kMostColumns) {
      fail(dataset_,
           fmt::format("has {} values in a row; quantised rows have at most {}", dim, kMostColumns));
    }
    return dim;
  }

  std::vector<float> read_table(const std::string& name, const std::vector<std::int64_t>& shape) const {
    const std::string table = tables_group(dataset_) + "/" + name;
    const store::DatasetInfo info = file_.info(table);
    if (info.type != ElementType::kFloat32) fail(table, "has the wrong type: float32 was expected");
    if (info.shape != shape) {
      const std::string wanted =
          shape.size() == 1 ? fmt::format("[{}]", shape[0]) : fmt::format("[{}, {}]", shape[0], shape[1]);
      fail(table, fmt::format("has another shape than {}, one entry for each group of columns", wanted));
    }
    if (info.contiguous && info.offset < 0) fail(table, "was never written: it has no storage");
    std::vector<float> values(static_cast<std::size_t>(shape[0] * (shape.size() == 2 ? shape[1] : 1)));
    file_.read_rows(table, ElementType::kFloat32, 0, shape[0], values.data());
    return values;
  }

  /// Codes are monotone in value: the first and the last bound all of them.
  void check_range(const Quantization& tables) const {
    for (std::size_t g = 0; g < tables.scale.size(); ++g) {
      const float scale = tables.scale[g];
      if (!std::isfinite(scale) || scale < 0) {
        fail(tables_group(dataset_) + "/scale",
             fmt::format("holds {} for group {}; finite values of at least 0 are expected", scale, g));
      }
      for (const float code : {-128.0F, 127.0F}) {
        const float value = tables.offset[g] + scale * code;
        if (std::abs(value) <= kLargestDecodedValue) continue;
        fail(tables_group(dataset_) + "/offset",
             fmt::format("makes {} of code {} in group {} (at most 1e15 in magnitude is computed with)",
                         value, code, g));
      }
    }
  }

  void check_palette(const std::vector<float>& palette) const {
    for (std::size_t i = 0; i < palette.size(); ++i) {
      if (std::abs(palette[i]) <= kLargestDecodedValue) continue;
      fail(tables_group(dataset_) + "/palette",
           fmt::format("holds {} for code {} of group {} (at most 1e15 in magnitude is computed with)",
                       palette[i], i % kPaletteEntries, i / kPaletteEntries));
    }
  }

  const store::H5Reader& file_;
  const std::string& dataset_;
  const ErrorKind damage_;
  const store::DatasetInfo info_;
};

}  // namespace

std::string tables_group(const std::string& dataset) {
  return dataset + "_quantization";
}

bool is_quantised(const store::H5Reader& file, const std::string& dataset) {
  return file.has_attribute(dataset, kKind);
}

RowCodec read_quantised(const store::H5Reader& file, const std::string& dataset, ErrorKind damage) {
  return TableReader(file, dataset, damage).read();
}

void declare_rows(store::H5Writer& file, const std::string& dataset, const RowCodec& codec,
                  std::int64_t n_rows) {
  file.declare(dataset, codec.stored_type(), {n_rows, codec.stored_columns()});
  const Quantization* tables = codec.quantization();
  if (tables == nullptr) return;
  file.attribute(dataset, kKind, std::string(codec.name()));
  file.attribute(dataset, kGroup, tables->group);
  const std::int64_t groups = core::ceil_div(codec.dim(), tables->group);
  const std::string folder = tables_group(dataset) + "/";
  if (tables->kind == Quantization::Kind::kInt8) {
    file.write(folder + "scale", tables->scale, {groups});
    file.write(folder + "offset", tables->offset, {groups});
  } else {
    file.attribute(dataset, kDim, codec.dim());
    file.write(folder + "palette", tables->palette, {groups, kPaletteEntries});
  }
}

}  // namespace phase0::data
