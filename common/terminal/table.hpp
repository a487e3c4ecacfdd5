#pragma once
// Columns for a terminal.
#include <string>
#include <vector>

namespace troupe {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : columns_(header.size()) {
    rows_.push_back(std::move(header));
  }
  /// A row with as many cells as the header.
  void add(std::vector<std::string> row);
  /// Left-aligned, two spaces apart, no trailing spaces.
  [[nodiscard]] std::string text() const;

 private:
  std::size_t columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace troupe
