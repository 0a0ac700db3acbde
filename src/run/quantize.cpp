#include "phase0/quantize.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "core/checked.h"
#include "core/clock.h"
#include "core/memory_monitor.h"
#include "data/latents_values.h"
#include "data/row_encoder.h"
#include "data/row_scan.h"
#include "linalg/kernels.h"
#include "models/quantization_fitter.h"
#include "run/conversion.h"
#include "run/quantized_file.h"
#include "run/session.h"
#include "store/file_system.h"

namespace phase0 {
namespace {

using Kind = data::Quantization::Kind;

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
constexpr std::int64_t kMappedAtEnds = 2 * store::kMappedByFault;  // of what is written

Kind kind_of(QuantizeTo to) {
  return to == QuantizeTo::kInt8 ? Kind::kInt8 : Kind::kInt4;
}

bool is_something_else(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

std::int64_t file_bytes(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

/// `/a/b` of `a/b`, `//a/b` and `a/b/`, which HDF5 takes for the same.
std::string absolute(const std::string& dataset) {
  std::string path;
  for (std::size_t begin = 0; begin < dataset.size();) {
    const std::size_t end = std::min(dataset.find('/', begin), dataset.size());
    if (end > begin) path += "/" + dataset.substr(begin, end - begin);
    begin = end + 1;
  }
  return path.empty() ? "/" : path;
}

/// One file on its way into fewer bits.
class Quantizer {
 public:
  Quantizer(const QuantizeOptions& options, core::Execution& execution)
      : options_(options), execution_(execution) {
    if (options.dataset.empty()) {
      latents_.emplace(data::Latents::open(options.input));
      input_ = data::frame_rows(*latents_);
    } else {
      input_ = data::dataset_rows(options.input, absolute(options.dataset));
    }
    if (options.group > dim()) {
      throw Error(
          ErrorKind::kConfig,
          fmt::format("--group is {}, but {} has {} columns", options.group, input_->dataset(), dim()),
          {options.input});
    }
    fit_need_ = data::RowScan::need(
        *input_, 0, models::QuantizationFitter::worker_bytes(kind_of(options.to), dim(), options.group));
    fit_need_.fixed_bytes += held_bytes() + models::QuantizationFitter::fixed_bytes(
                                                kind_of(options.to), n_rows(), dim(), options.group);
    const std::int64_t block_rows = std::min(data::RowScan::block_rows(dim()), n_rows());
    // What is written of a chunk stays mapped until the next one is under way.
    encode_need_ = data::RowScan::need(
        *input_, 2 * block_rows * output_row_bytes() + static_cast<std::int64_t>(sizeof(data::CodingErrors)),
        4 * dim());
    encode_need_.fixed_bytes += held_bytes() + table_bytes() + kMappedAtEnds;
  }

  QuantizeReport run() {
    require_memory();
    run::QuantizedFile file(
        options_.output, options_.input, *input_,
        latents_ ? &*latents_ : nullptr);  // first: what cannot be written need not be read
    data::RowCodec codec(store::ElementType::kFloat16, dim());
    if (options_.to != QuantizeTo::kFloat16) codec = data::RowCodec(fit(), dim());
    file.begin(codec);
    for (const std::string& name : file.dropped_attributes()) {
      execution_.observer.log(
          LogLevel::kWarning,
          fmt::format("{}: attribute {} is a list or of a type that is not copied", options_.input, name));
    }
    file.copy_energy(execution_);
    const data::CodingErrors errors = encode(codec, file.rows());
    file.commit();
    return report(codec, errors);
  }

  std::int64_t planned_bytes() const {
    const auto planned = [&](const core::ScanNeed& need) {
      return core::planned_bytes(need, data::RowScan::n_blocks(*input_), execution_.pool.size(),
                                 execution_.memory.free_bytes());
    };
    const std::int64_t fit = options_.to == QuantizeTo::kFloat16 ? 0 : planned(fit_need_);
    return core::MemoryBudget::kBaseBytes + std::max(fit, planned(encode_need_));
  }

 private:
  std::int64_t dim() const { return input_->codec().dim(); }
  std::int64_t n_rows() const { return input_->n_rows(); }
  std::int64_t output_row_bytes() const {
    if (options_.to == QuantizeTo::kFloat16) return 2 * dim();
    return options_.to == QuantizeTo::kInt8 ? dim() : core::ceil_div(dim(), 2);
  }
  std::int64_t table_bytes() const {
    if (options_.to == QuantizeTo::kFloat16) return 0;
    return data::RowEncoder::most_table_bytes(kind_of(options_.to), dim());
  }
  /// From start to end: names, tables of the input, the energies on their way, and the output where its disk
  /// is memory.
  std::int64_t held_bytes() const {
    std::int64_t bytes = input_->codec().table_bytes() + run::QuantizedFile::kCopyBytes;
    if (latents_)
      bytes += std::ssize(latents_->utterances()) * data::kUtteranceBytes + latents_->read_bytes();
    if (!store::lies_in_memory(options_.output)) return bytes;
    return bytes + core::checked_mul(n_rows(), output_row_bytes() + (latents_ ? 4 : 0), "output");
  }

  void require_memory() const {
    std::int64_t least = encode_need_.minimum_bytes();
    if (options_.to != QuantizeTo::kFloat16) least = std::max(least, fit_need_.minimum_bytes());
    least += core::MemoryBudget::kBaseBytes;
    if (least <= execution_.memory.bytes()) return;
    throw Error(ErrorKind::kMemory,
                fmt::format("the memory budget of {} is too small; the smallest that works is {}MiB",
                            core::format_bytes(execution_.memory.bytes()), core::ceil_div(least, kMebibyte)));
  }

  core::ScanSize size_of(const core::ScanNeed& need) const {
    return core::widest_scan(need, data::RowScan::n_blocks(*input_), execution_.pool.size(),
                             execution_.memory.free_bytes());
  }

  data::Quantization fit() {
    const core::ScanSize size = size_of(fit_need_);
    const core::Reservation memory(execution_.memory, fit_need_.bytes(size.blocks, size.workers),
                                   "finding the tables");
    models::QuantizationFitter fitter(kind_of(options_.to), n_rows(), dim(), options_.group, size.workers);
    {
      data::RowScan scan(*input_, execution_, size, data::kLargestFrameValue);
      scan.run(
          "range of values",
          [&](const data::RowScan::Block& block, int worker) {
            fitter.add(worker, block.first, block.n, block.rows);
          },
          [](std::int64_t, std::int64_t, std::int64_t) {});
    }
    const core::WorkerLimit limit(execution_.pool, size.workers);
    return fitter.finish(execution_);
  }

  data::CodingErrors encode(const data::RowCodec& codec, store::MappedDataset& out) {
    const core::ScanSize size = size_of(encode_need_);
    const core::Reservation memory(execution_.memory, encode_need_.bytes(size.blocks, size.workers),
                                   "encoding");
    const data::RowEncoder encoder(codec);
    std::vector<data::CodingErrors> parts(static_cast<std::size_t>(size.blocks));
    std::vector<core::AlignedBuffer<float>> decoded(static_cast<std::size_t>(size.workers));
    for (auto& row : decoded) row.resize(dim());
    data::CodingErrors errors;
    std::int64_t written = 0;  // rows
    std::int64_t written_before = 0;
    data::RowScan scan(*input_, execution_, size,
                       options_.to == QuantizeTo::kFloat16 ? data::kLargestHalf : data::kLargestFrameValue);
    scan.run(
        "encoding",
        [&](const data::RowScan::Block& block, int worker) {
          std::byte* codes = out.mutable_row(block.first);
          encoder.encode(block.rows, block.n, codes);
          parts[static_cast<std::size_t>(block.slot)] =
              encoder.errors(block.rows, block.n, codes, decoded[static_cast<std::size_t>(worker)].data());
        },
        [&](std::int64_t first, std::int64_t n, std::int64_t slots) {
          for (std::int64_t s = 0; s < slots; ++s) errors.add(parts[static_cast<std::size_t>(s)]);
          written_before = written;
          written = first + n;
        },
        [&] { out.flush(written_before, written - written_before); });
    out.flush(written_before, written - written_before);
    return errors;
  }

  QuantizeReport report(const data::RowCodec& codec, const data::CodingErrors& errors) const {
    QuantizeReport report;
    report.dataset = input_->dataset();
    report.n_rows = n_rows();
    report.dim = dim();
    report.type_before = input_->codec().name();
    report.type_after = codec.name();
    report.file_bytes_before = file_bytes(options_.input);
    report.file_bytes_after = file_bytes(options_.output);
    report.largest_error = errors.largest;
    report.mean_error = errors.sum / static_cast<double>(errors.values);
    report.rms_error = std::sqrt(errors.sum_squares / static_cast<double>(errors.values));
    report.mean_cosine = errors.cosine_sum / static_cast<double>(errors.rows);
    report.least_cosine = errors.cosine_least;
    return report;
  }

  const QuantizeOptions& options_;
  core::Execution& execution_;
  std::optional<data::Latents> latents_;
  std::unique_ptr<data::RowInput> input_;
  core::ScanNeed fit_need_, encode_need_;
};

}  // namespace

void QuantizeOptions::validate() const {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kConfig, message); };
  if (group < 1) refuse(fmt::format("--group is {}; at least 1 was expected", group));
  if (group > 1 && to == QuantizeTo::kFloat16) refuse("--group is of int8 and int4; float16 has no groups");
  if (compute.threads < 0 || compute.threads > 1024) {
    refuse(fmt::format("--threads is {}; 0 (auto) to 1024 were expected", compute.threads));
  }
  run::refuse_input(output, input);
  if (is_something_else(output)) refuse(output + ": is there and no file");
}

QuantizeReport quantize(const QuantizeOptions& options, Observer& observer) {
  options.validate();
  linalg::select_kernels(options.compute.kernels);
  const double begin = core::now_seconds();
  core::MemoryBudget memory = core::MemoryBudget::from_options(options.memory);
  core::ThreadPool pool(run::thread_count(options.compute));
  core::MemoryMonitor monitor(memory.bytes());
  core::Execution execution{pool, memory, observer, &monitor};
  Quantizer quantizer(options, execution);
  const std::int64_t planned = quantizer.planned_bytes();
  monitor.set_planned_bytes(planned);
  QuantizeReport report;
  try {
    report = quantizer.run();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    throw Error(ErrorKind::kInterrupted, "interrupted; nothing was written");  // and nothing is gone on with
  }
  observer.log(
      LogLevel::kInfo,
      fmt::format("quantize: {} rows in {:.1f} s, peak memory {} (planned {}, budget {})", report.n_rows,
                  core::now_seconds() - begin, core::format_bytes(core::peak_rss_bytes()),
                  core::format_bytes(planned), core::format_bytes(memory.bytes())));
  return report;
}

const char* to_string(QuantizeTo to) {
  switch (to) {
    case QuantizeTo::kFloat16:
      return "f16";
    case QuantizeTo::kInt8:
      return "int8";
    case QuantizeTo::kInt4:
      return "int4";
  }
  return "unknown";
}

}  // namespace phase0
