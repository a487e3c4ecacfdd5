#pragma once
// The tree as the house rules see it: every source file with its lines. Tests run in the repository's root.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace troupe::house {

struct SourceFile {
  std::string path;  ///< "common/kv/page_pool.cpp"
  std::vector<std::string> lines;
};

[[nodiscard]] inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

[[nodiscard]] inline std::vector<SourceFile> read_sources() {
  std::vector<SourceFile> files;
  for (const char* top : {"common", "services"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp" && extension != ".inl") continue;
      files.push_back({entry.path().generic_string(), read_lines(entry.path())});
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

/// What stands between <> or "" of an include line; empty for other lines.
[[nodiscard]] inline std::string included(const std::string& line) {
  if (!line.starts_with("#include")) return {};
  const auto open = line.find_first_of("<\"");
  const auto close = line.find_last_of(">\"");
  return open == std::string::npos || close <= open ? std::string() : line.substr(open + 1, close - open - 1);
}

}  // namespace troupe::house
