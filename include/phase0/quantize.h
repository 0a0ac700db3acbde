#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "phase0/observer.h"
#include "phase0/options.h"

/// Latents, or any 2-d dataset of floats, in fewer bits (data/FORMAT.md, "Quantised frames").
namespace phase0 {

/// What values become. kInt8: 256 even steps for each group of columns. kInt4: a palette of 16 values for
/// each group.
enum class QuantizeTo { kFloat16, kInt8, kInt4 };

struct QuantizeOptions {
  std::string input;   ///< path of the file to read
  std::string output;  ///< and of the one to write, which is replaced if it is there
  QuantizeTo to = QuantizeTo::kInt8;
  std::int64_t group = 1;  ///< columns that share steps or palette; 1 .. columns, 1 for kFloat16
  std::string dataset;     ///< of the input; empty: it is a latents file, and becomes one of layout A
  MemoryOptions memory;
  ComputeOptions compute;

  /// Throws Error (kConfig) that names the field and the bound it breaks.
  void validate() const;
};

/// What was lost and won. Errors are of values as the stages read them, in float32.
struct QuantizeReport {
  std::string dataset;
  std::int64_t n_rows = 0, dim = 0;
  std::string type_before, type_after;  ///< `float32`, `int8`, ...
  std::int64_t file_bytes_before = 0, file_bytes_after = 0;
  double largest_error = 0;  ///< of all |value - decoded|
  double mean_error = 0;     ///< of the same
  double rms_error = 0;
  double mean_cosine = 1;  ///< over rows, between row and decoded row
  double least_cosine = 1;
};

/// Writes `options.output` complete or not at all, in one pass over the values for float16 and two otherwise,
/// within the memory budget. The file depends on the input and on `to` and `group` alone. Throws Error: kData
/// for values that collect would refuse, and for those beyond float16.
QuantizeReport quantize(const QuantizeOptions& options, Observer& observer);

/// The variance ratios of a condition, lag and slice from the input as it was, and as it is now.
struct RatioChange {
  std::string condition;
  std::int64_t lag = 0;
  std::string slice;
  std::optional<double> train_before, train_after, eval_before, eval_after;
};

/// Runs `options` on the latents `before` and on `after`, in a temporary folder beside `after`;
/// `data.latents` and `output.dir` of the options do not count. In the order of tables.csv. Throws Error.
std::vector<RatioChange> compare_variance_ratios(const Options& options, const std::string& before,
                                                 const std::string& after, Observer& observer);

const char* to_string(QuantizeTo to);

}  // namespace phase0
