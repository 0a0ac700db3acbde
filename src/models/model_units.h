#pragma once

#include "core/byte_stream.h"
#include "models/model_file.h"

/// Fitted models as parts of a cached unit (core/unit_store.h), bit for bit.
namespace phase0::models {

void put(core::ByteSink& sink, const PcaModel& model);
PcaModel get_pca(core::ByteSource& source);

void put(core::ByteSink& sink, const std::vector<KMeansIteration>& history);
std::vector<KMeansIteration> get_history(core::ByteSource& source);

void put(core::ByteSink& sink, const ConditionModel& model);
ConditionModel get_condition(core::ByteSource& source);

}  // namespace phase0::models
