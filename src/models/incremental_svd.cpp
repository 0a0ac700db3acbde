#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <span>

#include "core/check.h"
#include "core/checked.h"
#include "models/pca.h"
#include "phase0/error.h"

namespace phase0::models {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t kChunkRows = 256;    // part of the result's bits
constexpr std::int64_t kOversampling = 64;  // directions kept beyond 2 k, so that what is dropped is small
/// Of packed panels of a product.
constexpr std::int64_t kProductBytes = std::int64_t{2} << 20;

/// Sequential Karhunen-Loeve (Ross, Lim, Lin, Yang 2008): after each chunk the leading singular directions of
/// [kept directions; centred chunk; correction for the moved mean] are kept.
class IncrementalSvdFitter final : public PcaFitter {
 public:
  IncrementalSvdFitter(std::int64_t dim, std::int64_t k)
      : keep_(incremental_svd_size(dim, k).kept_rows),
        mean_(Eigen::RowVectorXd::Zero(dim)),
        squares_(Eigen::RowVectorXd::Zero(dim)),
        kept_(0, dim),
        chunk_(kChunkRows, dim) {}

  void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& /*pool*/) override {
    for (const auto& block : blocks) {
      for (const auto& run : block.runs) {
        for (std::int64_t r = 0; r < run.n_rows; ++r) {
          const float* row = block.frames.data() + (run.first_frame + r) * block.frame_dim;
          chunk_.row(filled_) = Eigen::Map<const Eigen::RowVectorXf>(row, mean_.size()).cast<double>();
          if (++filled_ == kChunkRows) update();
        }
      }
    }
  }

  void save(core::ByteSink& sink) const override {
    sink.put(n_);
    sink.put(filled_);
    sink.put(kept_.rows());
    for (const auto& part : {values(mean_), values(squares_), values(kept_), values(chunk_)})
      sink.put_all(part);
  }

  void load(core::ByteSource& source) override {
    n_ = source.get<std::int64_t>();
    filled_ = source.get<std::int64_t>();
    const auto kept = source.get<Eigen::Index>();
    if (n_ < 0 || filled_ < 0 || filled_ >= kChunkRows || kept < 0 || kept > keep_)
      throw Error(ErrorKind::kStorage, "holds the directions of another PCA");
    kept_.resize(kept, mean_.size());
    source.get_into(std::span(mean_.data(), static_cast<std::size_t>(mean_.size())));
    source.get_into(std::span(squares_.data(), static_cast<std::size_t>(squares_.size())));
    source.get_into(std::span(kept_.data(), static_cast<std::size_t>(kept_.size())));
    source.get_into(std::span(chunk_.data(), static_cast<std::size_t>(chunk_.size())));
  }

  void end_scan(core::ThreadPool& /*pool*/) override { update(); }

  std::vector<PcaModel> finish(std::int64_t k, core::Execution& /*execution*/) override {
    PHASE0_CHECK(n_ >= 2);
    PcaModel model;
    model.k = k;
    model.dim = mean_.size();
    model.n_samples = n_;
    model.method = "incremental_svd";
    model.mean.assign(mean_.data(), mean_.data() + mean_.size());
    const double total = squares_.sum() / static_cast<double>(n_ - 1);
    Matrix components = Matrix::Zero(k, mean_.size());
    complete(components);
    for (std::int64_t c = 0; c < k; ++c) {
      const double singular = c < kept_.rows() ? kept_.row(c).norm() : 0.0;
      model.explained_variance.push_back(singular * singular / static_cast<double>(n_ - 1));
      model.explained_variance_ratio.push_back(total > 0 ? model.explained_variance.back() / total : 0.0);
    }
    model.components.assign(components.data(), components.data() + components.size());
    fix_signs(model.components, k);
    return {std::move(model)};
  }

 private:
  template <class Values>
  static std::span<const double> values(const Values& of) {
    return {of.data(), static_cast<std::size_t>(of.size())};
  }

  /// Directions of the kept rows, then unit vectors made orthogonal where the data's rank does not suffice.
  void complete(Matrix& components) const {
    std::int64_t axis = 0;
    for (std::int64_t c = 0; c < components.rows(); ++c) {
      Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(mean_.size());
      if (c < kept_.rows() && kept_.row(c).norm() > 0) row = kept_.row(c).normalized();
      while (row.norm() < 0.1) {
        row = Eigen::RowVectorXd::Unit(mean_.size(), axis++);
        for (int pass = 0; pass < 2; ++pass) {
          row -= ((row * components.topRows(c).transpose()) * components.topRows(c)).eval();
        }
      }
      components.row(c) = row.normalized();
    }
  }

  void update() {
    if (filled_ == 0) return;
    const auto rows = chunk_.topRows(filled_);
    const auto n = static_cast<double>(n_);
    const auto m = static_cast<double>(filled_);
    const Eigen::RowVectorXd chunk_mean = rows.colwise().mean();
    const Eigen::RowVectorXd moved = chunk_mean - mean_;
    Matrix stacked(kept_.rows() + filled_ + 1, mean_.size());
    stacked.topRows(kept_.rows()) = kept_;
    stacked.middleRows(kept_.rows(), filled_) = rows.rowwise() - chunk_mean;
    squares_ += stacked.middleRows(kept_.rows(), filled_).colwise().squaredNorm();
    squares_ += moved.cwiseAbs2() * (n * m / (n + m));
    stacked.bottomRows(1) = std::sqrt(n * m / (n + m)) * moved;
    mean_ += moved * (m / (n + m));
    n_ += filled_;
    filled_ = 0;
    // Singular directions of the stack through its small Gram matrix: rows of U^T A have norms sigma.
    const Eigen::MatrixXd gram = stacked * stacked.transpose();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
    PHASE0_CHECK(solver.info() == Eigen::Success);
    const Eigen::Index rank = std::min<Eigen::Index>({keep_, stacked.rows(), stacked.cols()});
    kept_.noalias() = solver.eigenvectors().rightCols(rank).rowwise().reverse().transpose() * stacked;
  }

  std::int64_t keep_;
  std::int64_t n_ = 0;
  std::int64_t filled_ = 0;
  Eigen::RowVectorXd mean_;
  Eigen::RowVectorXd squares_;  ///< summed squared deviations per column
  Matrix kept_;                 ///< sigma_i v_i as rows, descending
  Matrix chunk_;
};

}  // namespace

IncrementalSvdSize incremental_svd_size(std::int64_t dim, std::int64_t k) {
  IncrementalSvdSize size;
  size.chunk_rows = kChunkRows;
  size.kept_rows = std::min(dim, 2 * k + kOversampling);
  size.stacked_rows = size.kept_rows + kChunkRows + 1;
  // chunk_, kept_ and the stack of update(); mean_, squares_, and the means of the chunk.
  const std::int64_t rows = size.chunk_rows + size.kept_rows + size.stacked_rows + 4;
  // The Gram matrix, the solver's own, its leading vectors and what is packed of them.
  const std::int64_t small = 4 * size.stacked_rows * size.stacked_rows;
  size.bytes = core::checked_mul(8, core::checked_mul(rows, dim, "PCA") + small, "PCA") + kProductBytes;
  return size;
}

std::unique_ptr<PcaFitter> incremental_svd_fitter(std::int64_t dim, std::int64_t k) {
  return std::make_unique<IncrementalSvdFitter>(dim, k);
}

}  // namespace phase0::models
