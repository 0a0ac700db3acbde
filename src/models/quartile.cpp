#include "models/quartile.h"

#include "core/check.h"
#include "core/order_statistics.h"
#include "data/scan.h"

namespace phase0::models {
namespace {

constexpr double kQuantiles[] = {0.25, 0.50, 0.75};
constexpr std::int64_t kMaxDimensions = 15;

std::vector<std::int64_t> quartile_ranks(std::int64_t n) {
  std::vector<std::int64_t> ranks;
  for (const double q : kQuantiles) {
    const core::QuantilePosition position = core::quantile_position(n, q);
    ranks.push_back(position.lower);
    ranks.push_back(position.upper);
  }
  return ranks;
}

}  // namespace

QuartileModel fit_quartiles(const data::FeatureSource& scores, core::Execution& execution,
                            const std::string& task) {
  const std::int64_t n = scores.n_rows();
  const std::int64_t d = scores.frame_dim();
  PHASE0_CHECK(scores.window() == 1 && n >= 1 && d <= kMaxDimensions);
  const data::SourceShape shape = scores.shape();
  data::ScanRoom room(execution, quartile_need(shape), "quartile edges", shape);
  std::vector<core::OrderStatistics> columns(static_cast<std::size_t>(d),
                                             core::OrderStatistics(32, quartile_ranks(n)));
  const auto next_pass = [&columns] {
    bool more = false;
    for (auto& column : columns) more = column.next_pass() || more;
    return more;
  };
  while (next_pass()) {
    data::scan_chunks(scores, room, task, [&](std::int64_t, std::vector<data::FeatureBlock>& chunk) {
      execution.pool.run(d, [&](std::int64_t j, int) {
        auto& column = columns[static_cast<std::size_t>(j)];
        for (const auto& block : chunk) {
          const float* values = block.matrix() + j;
          for (std::int64_t r = 0; r < block.n_rows; ++r) column.add(core::ordered_key(values[r * d]));
        }
      });
    });
  }
  QuartileModel model;
  model.d = d;
  for (const auto& column : columns) {
    for (std::size_t q = 0; q < std::size(kQuantiles); ++q) {
      const auto value = [&](std::size_t i) {
        return static_cast<double>(core::from_ordered_key(static_cast<std::uint32_t>(column.value(i))));
      };
      const double weight = core::quantile_position(n, kQuantiles[q]).weight;
      model.edges.push_back(static_cast<float>(core::interpolate(value(2 * q), value(2 * q + 1), weight)));
    }
  }
  return model;
}

std::int32_t quartile_id(const QuartileModel& model, const float* scores) {
  std::int32_t id = 0;
  for (std::int64_t i = model.d - 1; i >= 0; --i) {
    const float* edges = model.edges.data() + 3 * i;
    id = 4 * id + (edges[0] <= scores[i] ? 1 : 0) + (edges[1] <= scores[i] ? 1 : 0) +
         (edges[2] <= scores[i] ? 1 : 0);
  }
  return id;
}

core::ScanNeed quartile_need(const data::SourceShape& scores) {
  core::ScanNeed need = data::scan_chunks_need(scores);
  need.fixed_bytes += scores.frame_dim * core::OrderStatistics::bytes(scores.n_rows, 6);
  return need;
}

}  // namespace phase0::models
