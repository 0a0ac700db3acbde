#include "run/fit_units.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/load.h"
#include "core/fingerprint.h"
#include "models/model_units.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kRowsAtOnce = std::int64_t{1} << 18;

/// Calls `work(first, n)` for some rows at a time and gives back the pages behind it.
template <class Work>
void for_rows(const store::MappedDataset& rows, const Work& work) {
  for (std::int64_t first = 0; first < rows.rows(); first += kRowsAtOnce) {
    const std::int64_t n = std::min(kRowsAtOnce, rows.rows() - first);
    work(first, n);
    rows.release(first, n);
  }
}

void put(core::ByteSink& sink, const store::MappedDataset& rows) {
  sink.put(rows.bytes());
  for_rows(rows,
           [&](std::int64_t first, std::int64_t n) { sink.write(rows.row(first), n * rows.row_bytes()); });
}

void get(core::ByteSource& source, store::MappedDataset& rows) {
  if (source.get<std::int64_t>() != rows.bytes()) {
    throw Error(ErrorKind::kStorage, "has another number of rows");
  }
  for_rows(rows, [&](std::int64_t first, std::int64_t n) {
    source.read(rows.mutable_row(first), n * rows.row_bytes());
  });
}

bool is_of(const models::ConditionModel& model, const ConditionOptions& condition, const CellShape& shape) {
  const bool on_components = condition.type != ConditionType::kMeanPoolVq;
  const bool quartiles = condition.type == ConditionType::kPcaQuartile;
  if (model.pca.has_value() != on_components || model.quartile.has_value() != quartiles ||
      model.kmeans.has_value() == quartiles) {
    return false;
  }
  const std::int64_t dim = on_components ? condition.pca_dim : shape.dim;
  if (model.pca && (model.pca->k != dim || model.pca->dim != shape.window * shape.dim)) return false;
  return quartiles ? model.quartile->d == dim : model.kmeans->k == condition.k && model.kmeans->d == dim;
}

}  // namespace

FitUnits::FitUnits(const Options& options, const std::string& rows_key, const std::string& kernels,
                   Storage storage)
    : options_(options), base_(rows_key + " " + kernels + "\n"), storage_(storage) {}

core::UnitId FitUnits::normaliser() const {
  return {"normaliser", core::fingerprint("normaliser " + base_)};
}

core::UnitId FitUnits::pca(const LagGroup& group) const {
  Options relevant;
  relevant.clustering.pca_method = options_.clustering.pca_method;
  relevant.clustering.conditions.clear();
  std::int64_t most = 0;
  for (const auto& condition : options_.clustering.conditions) most = std::max(most, condition.pca_dim);
  const std::string lags = fmt::format("{}", fmt::join(group, ", "));
  return {fmt::format("lag {}: PCA", lags),
          core::fingerprint(fmt::format("PCA of {} for {} from {} {}{}", most, lags,
                                        storage_ == Storage::kDense ? "vectors" : "frames", base_,
                                        config::dump(relevant)))};
}

core::UnitId FitUnits::pca_progress(const LagGroup& group) const {
  core::UnitId unit = pca(group);
  unit.name += " under way";
  return unit;
}

core::UnitId FitUnits::cell(std::int64_t lag, const ConditionOptions& condition,
                            const LagGroup& group) const {
  Options relevant;
  relevant.seed = options_.seed;
  relevant.clustering.conditions = {condition};
  if (condition.type != ConditionType::kPcaQuartile) {
    relevant.clustering.kmeans = options_.clustering.kmeans;
    relevant.clustering.holdout = options_.clustering.holdout;
  }
  const std::string before = condition.pca_dim > 0 ? pca(group).key : base_;
  return {fmt::format("lag {}: {}", lag, condition.name),
          core::fingerprint(fmt::format("cell of lag {} {}{}", lag, before, config::dump(relevant)))};
}

core::UnitId FitUnits::kmeans_progress(std::int64_t lag, const ConditionOptions& condition,
                                       const LagGroup& group) const {
  core::UnitId unit = cell(lag, condition, group);
  unit.name += ": k-means under way";
  return unit;
}

bool save_cell(core::UnitStore& store, const core::UnitId& unit, const models::ConditionModel& model,
               const CellOut& out) {
  return store.save(unit, [&](core::ByteSink& sink) {
    models::put(sink, model);
    for (const models::AssignmentOut* split : {&out.train, &out.eval}) {
      put(sink, split->cluster);
      put(sink, split->distance);
    }
  });
}

bool load_cell(core::UnitStore& store, const core::UnitId& unit, const ConditionOptions& condition,
               const CellShape& shape, models::ConditionModel& model, CellOut& out) {
  return store.load(unit, [&](core::ByteSource& source) {
    model = models::get_condition(source);
    if (!is_of(model, condition, shape))
      throw Error(ErrorKind::kStorage, "holds a model of another condition");
    for (models::AssignmentOut* split : {&out.train, &out.eval}) {
      get(source, split->cluster);
      get(source, split->distance);
    }
  });
}

}  // namespace phase0::run
