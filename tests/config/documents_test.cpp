// The files of configs/ and their documentation agree with the program.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/schema.h"
#include "config_cases.h"

namespace phase0::config {
namespace {

std::filesystem::path configs_folder() {
  return std::filesystem::path(PHASE0_SOURCE_DIR) / "configs";
}

TEST(Documents, ShippedConfigurationsLoad) {
  const Options demo = load(configs_folder() / "demo.yaml", {});
  EXPECT_EQ(demo.clustering.conditions.size(), 3U);
  EXPECT_EQ(demo.slices.size(), 3U);
  const Options reference = load(configs_folder() / "reference.yaml", {});
  EXPECT_EQ(reference.splits.n_train_speakers, 200);
  // The reference spells out the default conditions.
  const Options defaults = default_options();
  Options same = defaults;
  same.clustering.conditions = reference.clustering.conditions;
  EXPECT_EQ(dump(same), dump(defaults));
}

TEST(Documents, ReadmeExplainsEveryKey) {
  std::ifstream file(configs_folder() / "README.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const Field<Options>& field : options_table()) {
    const bool is_list = field.key == "slices" || field.key == "clustering.conditions";
    const std::string row = "| `" + field.key + "` | " + (is_list ? "list of mappings" : "");
    EXPECT_NE(text.str().find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace phase0::config
