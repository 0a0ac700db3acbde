#include <gtest/gtest.h>

#include "phase0/pipeline.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0 {
namespace {

/// A models.h5 that `edit` spoils.
template <class Edit>
void expect_refused(const std::string& fragment, const Edit& edit) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("models.h5");
  {
    test::RawH5File file(path);
    file.attribute("/", "format", std::string("phase0-models"));
    edit(file);
  }
  test::expect_error(ErrorKind::kData, fragment, [&] { inspect(path); });
}

TEST(InspectTest, GroupsInACircleAreRefused) {
  expect_refused("linked twice", [](test::RawH5File& file) {
    file.group("/a");
    H5Lcreate_hard(file.id(), "/", file.id(), "/a/round", H5P_DEFAULT, H5P_DEFAULT);
  });
}

TEST(InspectTest, GroupsWithoutEndAreRefused) {
  expect_refused("deeper", [](test::RawH5File& file) {
    std::string name;
    for (int i = 0; i < 2000; ++i) name += "/a";
    file.group(name);
  });
}

TEST(InspectTest, NamesCannotForgeLines) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("models.h5");
  {
    test::RawH5File file(path);
    file.attribute("/", "format", std::string("phase0-models"));
    file.attribute("/", "note",
                   std::string("a\nforged: sound\xc2\x9b"
                               "2J"));
    file.group("/a\nforged");
    const float value = 1;
    file.dataset(
        "/a\nforged/\xe2\x80\xae"
        "b",
        H5T_NATIVE_FLOAT, {1}, &value);
  }
  const std::string text = inspect(path);
  EXPECT_EQ(text.find("\nforged"), std::string::npos) << text;
  EXPECT_NE(text.find("a\\x0aforged: sound\\xc2\\x9b2J\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/a\\x0aforged/\\xe2\\x80\\xaeb "), std::string::npos) << text;
}

}  // namespace
}  // namespace phase0
