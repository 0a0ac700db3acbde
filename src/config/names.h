#pragma once

#include <array>
#include <utility>

#include "phase0/options.h"

/// The words that stand for enumerators in configurations and tables.
namespace phase0::config {

template <typename E>
struct Names;

template <>
struct Names<NonFinitePolicy> {
  static constexpr std::array<std::pair<NonFinitePolicy, const char*>, 2> kAll = {
      {{NonFinitePolicy::kError, "error"}, {NonFinitePolicy::kDropUtterance, "drop_utterance"}}};
};

template <>
struct Names<EncoderErrorPolicy> {
  static constexpr std::array<std::pair<EncoderErrorPolicy, const char*>, 2> kAll = {
      {{EncoderErrorPolicy::kError, "error"}, {EncoderErrorPolicy::kSkip, "skip"}}};
};

template <>
struct Names<Storage> {
  static constexpr std::array<std::pair<Storage, const char*>, 3> kAll = {
      {{Storage::kAuto, "auto"}, {Storage::kWindow, "window"}, {Storage::kDense, "dense"}}};
};

template <>
struct Names<HoldoutPolicy> {
  static constexpr std::array<std::pair<HoldoutPolicy, const char*>, 2> kAll = {
      {{HoldoutPolicy::kReport, "report"}, {HoldoutPolicy::kExclude, "exclude"}}};
};

template <>
struct Names<PcaMethod> {
  static constexpr std::array<std::pair<PcaMethod, const char*>, 3> kAll = {
      {{PcaMethod::kAuto, "auto"},
       {PcaMethod::kCovariance, "covariance"},
       {PcaMethod::kIncrementalSvd, "incremental_svd"}}};
};

template <>
struct Names<RestartsOn> {
  static constexpr std::array<std::pair<RestartsOn, const char*>, 3> kAll = {
      {{RestartsOn::kAuto, "auto"}, {RestartsOn::kAll, "all"}, {RestartsOn::kSample, "sample"}}};
};

template <>
struct Names<ConditionType> {
  static constexpr std::array<std::pair<ConditionType, const char*>, 3> kAll = {
      {{ConditionType::kMeanPoolVq, "mean_pool_vq"},
       {ConditionType::kPcaVq, "pca_vq"},
       {ConditionType::kPcaQuartile, "pca_quartile"}}};
};

template <>
struct Names<KernelChoice> {
  static constexpr std::array<std::pair<KernelChoice, const char*>, 5> kAll = {
      {{KernelChoice::kAuto, "auto"},
       {KernelChoice::kPortable, "portable"},
       {KernelChoice::kAvx2, "avx2"},
       {KernelChoice::kAvx512, "avx512"},
       {KernelChoice::kAmx, "amx"}}};
};

}  // namespace phase0::config
