#pragma once

#include <chrono>

#include "core/threads.h"

/// What this machine could do at best, to hold a measurement against. Built for the machine it runs on.
namespace phase0::bench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Bytes per second of reading memory far larger than the caches, by all workers; the best of a few passes.
double read_rate(core::ThreadPool& pool);

/// Fused multiply-adds of float32 per second, counted as two each, by all workers on registers alone.
double multiply_add_rate(core::ThreadPool& pool);

}  // namespace phase0::bench
