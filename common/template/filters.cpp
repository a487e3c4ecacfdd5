#include "common/template/filters.hpp"

#include <unordered_map>

namespace troupe::jinja {

Filter find_filter(std::string_view name) {
  static const auto kFilters = [] {
    std::unordered_map<std::string_view, Filter> all;
    for (const auto* const table : {&text_filters(), &number_filters(), &list_filters(), &choice_filters()}) {
      for (const auto& [known, filter] : *table) all.emplace(known, filter);
    }
    return all;
  }();
  const auto row = kFilters.find(name);
  return row == kFilters.end() ? nullptr : row->second;
}

}  // namespace troupe::jinja
