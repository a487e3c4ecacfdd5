#pragma once
// The registry of techniques: what `troupe techniques` prints. An entry is here only when its code is.
#include <cstdint>
#include <string_view>
#include <vector>

namespace troupe {

/// What a technique does to the answer (README, "Same bits").
enum class TechniqueClass : std::uint8_t {
  exact,  ///< the same bytes as plain decoding
  law,    ///< the same distribution
  lossy,  ///< another answer: off unless asked for, and the response says so
};

struct Technique {
  std::string_view name;
  std::string_view summary;
  std::string_view paper;    ///< author, year, arXiv id
  std::string_view service;  ///< where it runs
  TechniqueClass effect = TechniqueClass::exact;
  std::string_view needs;   ///< what must be there for it to act
  std::string_view option;  ///< the option that governs it; empty: requests alone do
  std::string_view request =
      {};  ///< boolean field of a request's "troupe" object that switches it; empty: none does
};

[[nodiscard]] std::string_view name(TechniqueClass effect);

/// One row per technique; a new one is one line in techniques.cpp.
[[nodiscard]] const std::vector<Technique>& techniques();

}  // namespace troupe
