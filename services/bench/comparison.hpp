#pragma once
// Two endpoints in one run: blocks alternate between them, each pair of blocks sends the same requests, and
// the order within pairs alternates too, so that a slow drift of the machine favours neither.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/bench/bootstrap.hpp"
#include "services/bench/summary.hpp"

namespace troupe::load {

/// A repeat with more stolen and foreign CPU time than this is marked and, where enough others stay, left
/// out.
inline constexpr double kForeignLimit = 0.02;
inline constexpr std::size_t kFewestClean = 3;

/// Which endpoint (0 or 1) has the first and the second block of pair number `repeat`: 01 10 10 01, which
/// also cancels a drift that is a straight line.
[[nodiscard]] std::array<int, 2> block_order(std::uint64_t repeat);

struct Repeat {
  Summary first, second;
  std::optional<double> foreign;  ///< share of the machine's time; nullopt where it cannot be read
  [[nodiscard]] bool marked() const { return foreign && *foreign > kForeignLimit; }
};

struct ComparedFigure {
  std::string name;
  double first = 0, second = 0;  ///< medians over the repeats used
  Ratio ratio;                   ///< first / second
};

struct Comparison {
  std::size_t repeats = 0, marked = 0;
  bool used_marked = false;  ///< fewer than kFewestClean were clean: all are used
  std::vector<ComparedFigure> figures;
};

[[nodiscard]] Comparison compare(const std::vector<Repeat>& repeats, std::uint64_t seed);

/// `first` and `second` name the endpoints.
[[nodiscard]] std::string comparison_text(const Comparison& comparison, const std::string& first,
                                          const std::string& second);
[[nodiscard]] std::string comparison_json(const Comparison& comparison, const std::vector<Repeat>& repeats);

}  // namespace troupe::load
