#pragma once
// How findings spell quantities and lists.
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace troupe::cli::doctor {

/// "1 thread", "2 threads".
[[nodiscard]] inline std::string counted(std::uint64_t number, std::string_view noun) {
  std::string out = std::to_string(number);
  out.append(" ").append(noun);
  return number == 1 ? out : out + "s";
}

/// "1.5 GiB", "32 MiB": for reading, not for loading back.
[[nodiscard]] inline std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value,
                kUnits[unit]);
  return text.data();
}

/// Appends `item` to a list as people write it.
inline void append_item(std::string& list, std::string_view item) {
  list.append(list.empty() ? "" : ", ").append(item);
}

}  // namespace troupe::cli::doctor
