#include "common/terminal/table.hpp"

#include <algorithm>

#include "common/base/error.hpp"

namespace troupe {

void Table::add(std::vector<std::string> row) {
  TROUPE_CHECK(row.size() == columns_, "a row has as many cells as the header");
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(columns_, 0);
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < columns_; ++c) widths[c] = std::max(widths[c], row[c].size());
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < columns_; ++c) {
      line += row[c];
      if (c + 1 < columns_) line.append(widths[c] + 2 - row[c].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace troupe
