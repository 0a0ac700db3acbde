#pragma once

#include "core/byte_stream.h"
#include "core/fields.h"
#include "models/model_file.h"

namespace phase0 {

template <class Visit, core::Like<KMeansIteration> T>
void each_field(Visit& visit, T& iteration) {
  visit(iteration.phase, iteration.restart, iteration.iteration, iteration.n_rows, iteration.inertia,
        iteration.shift, iteration.n_reseeded, iteration.stopped, iteration.best);
}

}  // namespace phase0

/// Fitted models as parts of a cached unit (core/unit_store.h), bit for bit. Readers throw Error (kStorage)
/// for what does not fit together.
namespace phase0::models {

void put(core::ByteSink& sink, const PcaModel& model);
PcaModel get_pca(core::ByteSource& source);

void put(core::ByteSink& sink, const ConditionModel& model);
ConditionModel get_condition(core::ByteSource& source);

}  // namespace phase0::models
