// Who may include whom: layers of common/ in the order of common/CMakeLists.txt, services apart from each other, and each
// third-party library behind its wall.
#include <map>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/house/source_tree.hpp"

namespace troupe::house {
namespace {

std::map<std::string, int> layer_order() {
  std::map<std::string, int> order;
  std::string text;
  for (const std::string& line : read_lines("common/CMakeLists.txt")) text.append(line).append(" ");
  const std::string opening = "foreach(folder ";
  const auto begin = text.find(opening) + opening.size();
  std::istringstream words(text.substr(begin, text.find(')', begin) - begin));
  int place = 0;
  for (std::string word; words >> word;) order[word] = place++;
  return order;
}

// "common/kv/page_pool.cpp" -> "kv"
std::string folder_of(const std::string& path) {
  const auto first = path.find('/');
  const auto second = path.find('/', first + 1);
  return second == std::string::npos ? std::string() : path.substr(first + 1, second - first - 1);
}

TEST(IncludeRules, ACommonFolderUsesOnlyWhatStandsAboveIt) {
  const auto order = layer_order();
  ASSERT_GT(order.size(), 10u);
  for (const SourceFile& file : read_sources()) {
    if (!file.path.starts_with("common/") || folder_of(file.path).empty()) continue;
    const auto own = order.find(folder_of(file.path));
    ASSERT_NE(own, order.end()) << file.path << " stands in a folder that common/CMakeLists.txt does not list";
    for (const std::string& line : file.lines) {
      const std::string target = included(line);
      EXPECT_FALSE(target.starts_with("services/")) << file.path << " includes " << target;
      if (!target.starts_with("common/")) continue;
      const auto used = order.find(folder_of(target));
      if (used == order.end()) continue;
      EXPECT_LE(used->second, own->second) << file.path << " includes " << target;
    }
  }
}

TEST(IncludeRules, AServiceIncludesNoOtherServiceExceptTheProgramThatHostsThem) {
  for (const SourceFile& file : read_sources()) {
    if (!file.path.starts_with("services/") || file.path.starts_with("services/cli/")) continue;
    for (const std::string& line : file.lines) {
      const std::string target = included(line);
      if (!target.starts_with("services/")) continue;
      EXPECT_EQ(folder_of(target), folder_of(file.path)) << file.path << " includes " << target;
    }
  }
}

TEST(IncludeRules, EveryThirdPartyLibraryStaysBehindItsWall) {
  struct Wall {
    const char* prefix;
    const char* allowed;  ///< regex over paths
  };
  const Wall walls[] = {
      {"caf/", R"(common/actors/.*|common/pch_caf\.hpp|.*_actor\.(hpp|cpp))"},
      {"zmq", R"(common/transport/zmq_.*)"},
      {"boost/", R"(services/gateway/http_[a-z_]*\.(cpp|hpp)|common/pch_beast\.hpp)"},
      {"prometheus/", R"(common/metrics/.*)"},
      {"yaml-cpp/", R"(common/config/.*|services/cli/cluster_file\.cpp)"},
      {"xxhash", R"(common/base/hash\.cpp)"},
      {"spdlog/", R"(common/base/log\.cpp)"},
      {"unicode/", R"(common/tokenizer/.*)"},
      {"zlib", R"(services/gateway/web_files\.cpp)"},
      {"openssl/", R"(common/security/certificates\.cpp|common/security/digest\.cpp|common/http/socket\.cpp|common/actors/runtime\.cpp|services/cli/sha256\.cpp|services/gateway/owner\.cpp)"},
      {"sqlite3", R"(services/gateway/batches/sqlite\.cpp)"},
      {"hiredis", R"(common/directory/.*)"},
      {"immintrin", R"(common/backend/cpu/.*)"},
  };
  for (const SourceFile& file : read_sources()) {
    for (const std::string& line : file.lines) {
      const std::string target = included(line);
      for (const Wall& wall : walls) {
        if (!target.starts_with(wall.prefix)) continue;
        EXPECT_TRUE(std::regex_match(file.path, std::regex(wall.allowed))) << file.path << " includes " << target;
      }
    }
  }
}

TEST(IncludeRules, HeadersAreIncludedFromTheRoot) {
  for (const SourceFile& file : read_sources()) {
    for (const std::string& line : file.lines) {
      if (!line.starts_with("#include \"")) continue;
      EXPECT_TRUE(std::filesystem::exists(included(line))) << file.path << " includes " << included(line);
    }
  }
}

}  // namespace
}  // namespace troupe::house
