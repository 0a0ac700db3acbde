#include <fmt/format.h>

#include "report/html.h"
#include "report/number.h"

namespace phase0::report {
namespace {

std::string term(const std::string& name, const std::string& text) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, text);
}

}  // namespace

std::string html_glossary(const Options& options) {
  const std::string size = count(options.clustering.min_cluster_size);
  return "<dl>\n" +
         term("Variance ratio",
              "The sum of squares of the next change inside the clusters over the sum of squares in all. 1: "
              "knowing the "
              "cluster says nothing about the next change. 0: it says everything. 0.6 means that 40% of the "
              "variance "
              "is explained.") +
         term("Adjusted ratio",
              "The same per degree of freedom. Many small clusters push the plain ratio below 1 even when "
              "they are "
              "random; the adjusted ratio is 1 on average for random clusters.") +
         term("Cross-speaker degradation",
              "How much worse the ratio is for eval speakers than for train speakers: (eval &minus; train) / "
              "train. "
              "Above 0 the description partly learnt the train speakers rather than what speakers share.") +
         term(
             "Random baseline",
             fmt::format(
                 "The variance ratio after the cluster labels were shuffled over all rows of the split, as a "
                 "mean over {} shuffles. It should be close to 1; where it is not, the clusters are so many "
                 "or "
                 "so small that chance alone explains variance. p is the share of shuffles that did at least "
                 "as "
                 "well as the real labels (counting the real one).",
                 count(options.metrics.permutations))) +
         term("Entropy reduction",
              "How much the spread of the next change shrinks once the cluster is known, on a logarithmic "
              "scale, taking "
              "the dimensions as independent Gaussians. It is reported in nats (H &minus; H given the "
              "cluster), per "
              "dimension, because the usual form, divided by H, is meaningless here: after normalisation H "
              "is close to 0 "
              "and may have either sign. The divided form is in <code>tables.csv</code> for comparison with "
              "others.") +
         term("Clusters counted, excluded mass",
              fmt::format(
                  "A cluster counts when it holds at least {} train rows; the same clusters are used for "
                  "eval. "
                  "The excluded mass is the share of rows in clusters that do not count: the figures say "
                  "nothing about them.",
                  size)) +
         term("Mean over speakers",
              "The variance ratio computed inside each speaker with at least 50 rows, averaged, with a 95% "
              "Student-t "
              "interval for the mean.") +
         term("Condition",
              "One coarse description of the context: <code>mean_pool_vq</code> clusters the window's mean "
              "frame, "
              "<code>pca_vq</code> the window's main directions, <code>pca_quartile</code> cuts each of "
              "those at its "
              "quartiles.") +
         term("Lag", "How many frames lie between the end of the context and the change that is predicted.") +
         term("Slice",
              "A subset of the rows on which the figures are computed again. Nothing is fitted anew.") +
         "</dl>\n";
}

}  // namespace phase0::report
