// README's maps agree with the tree: a folder that is gone or new shows here.
#include <set>

#include <gtest/gtest.h>

#include "tests/house/source_tree.hpp"

namespace troupe::house {
namespace {

std::set<std::string> folders_in_readme() {
  std::set<std::string> found;
  for (const std::string& line : read_lines("README.md")) {
    if (!line.starts_with("| `")) continue;
    const auto end = line.find('`', 3);
    const std::string name = line.substr(3, end - 3);
    if (name.starts_with("common/") || name.starts_with("services/")) found.insert(name.substr(0, name.find_last_not_of('/') + 1));
  }
  return found;
}

TEST(Readme, ItsFolderTableIsTheTree) {
  std::set<std::string> tree;
  for (const char* top : {"common", "services"}) {
    for (const auto& entry : std::filesystem::directory_iterator(top)) {
      if (entry.is_directory() && std::filesystem::exists(entry.path() / "CMakeLists.txt"))
        tree.insert(entry.path().generic_string());
    }
  }
  EXPECT_EQ(folders_in_readme(), tree);
}

TEST(Readme, TheTopLevelIsThePrescribedOne) {
  const std::set<std::string> allowed = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "build", "common",
                                         "deploy", "docker", "services", "tests"};
  for (const auto& entry : std::filesystem::directory_iterator(".")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name.starts_with(".") || allowed.contains(name)) << name;
  }
}

}  // namespace
}  // namespace troupe::house
