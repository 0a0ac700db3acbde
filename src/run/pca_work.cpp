#include "run/pca_work.h"

#include <cmath>

#include "linalg/eigen_topk.h"
#include "models/spectral_products.h"
#include "run/rows_work.h"

namespace phase0::run {
namespace {

/// Sums of the covariance over the rows, a part of it in every scan, and its eigenpairs. What does not fit
/// the memory is written to a scratch file and read again for every application of the covariance.
void covariance(const Rows& contexts, const Session& session, const Workload& workload, const FitParts& parts,
                std::int64_t k, Work& work) {
  const models::PcaPlan& plan = *parts.pca;
  const double groups = as_double(std::ssize(parts.lag_groups));
  load(contexts, groups * as_double(plan.n_scans), work);
  const double d = as_double(workload.dim);
  const double w = as_double(session.options().context.window_size);
  double products = w - 0.5;
  if (plan.spectral_bands > 0) products = models::SpectralProducts::products_per_row(parts.window);
  // The dense storage holds contexts, whose product is taken whole.
  if (workload.storage == Storage::kDense) products = w * w / 2;
  work.add(Operation::kFloatProduct, groups * contexts.n * products * d * d);
  const double f = w * d;
  const linalg::EigenMethod eigen = linalg::eigen_method(workload.flat.dim(), k);
  const Range applications =
      n_lags(session) * Range{eigen.applications_min, eigen.applications_expected, eigen.applications_max};
  work.add(Operation::kDoubleProduct, 2 * f * f * as_double(eigen.width) * applications);
  // The full decomposition runs on one thread.
  if (!eigen.krylov) {
    work.add(Operation::kDoubleProduct, 10 * f * f * f * n_lags(session) * session.threads());
  }
  work.bytes_written += groups * as_double(plan.scratch_bytes);
  work.bytes_read += as_double(plan.scratch_bytes) * applications;
}

/// Products and a decomposition of a small matrix for every chunk of rows, on one thread and without the
/// machine's wide instructions, at about half the measured rate.
void incremental_svd(const Rows& contexts, std::int64_t k, int threads, Work& work) {
  load(contexts, 1, work);
  const models::IncrementalSvdSize size =
      models::incremental_svd_size(static_cast<std::int64_t>(contexts.d), k);
  const double stacked = as_double(size.stacked_rows);
  const double chunks = std::ceil(contexts.n / as_double(size.chunk_rows));
  const double products = stacked * (stacked + as_double(size.kept_rows)) * contexts.d;
  constexpr double kSlower = 2;
  work.add(Operation::kDoubleProduct,
           kSlower * chunks * (products + 10 * stacked * stacked * stacked) * threads);
}

}  // namespace

void add_pca_work(const Session& session, const Workload& workload, const FitParts& parts, Work& work) {
  const FeatureRows features(session, workload);
  const Rows contexts = features.flat(as_double(workload.n_train));
  const std::int64_t most = *parts.pca_dims.rbegin();
  if (parts.pca->method == PcaMethod::kIncrementalSvd) {
    for (std::size_t lag = 0; lag < parts.lag_groups.size(); ++lag) {
      incremental_svd(contexts, most, session.threads(), work);
    }
  } else {
    covariance(contexts, session, workload, parts, most, work);
  }
  const double all = as_double(workload.n_train + workload.n_eval);
  for (const std::int64_t k : parts.pca_dims) {
    load(features.flat(all), as_double(std::ssize(parts.lag_groups)), work);
    work.add(Operation::kDoubleProduct, n_lags(session) * all * contexts.d * as_double(k));
    work.bytes_written += n_lags(session) * all * kValue * as_double(k);
  }
}

}  // namespace phase0::run
