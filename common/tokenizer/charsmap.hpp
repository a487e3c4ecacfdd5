#pragma once
// SentencePiece's precompiled normalisation: a double-array trie (Darts, as of darts-clone) from character
// sequences to their replacements. Every index is checked: the blob comes from a file.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

/// Immutable. Threads: any.
class CharsMap {
 public:
  CharsMap() = default;  ///< replaces nothing
  /// `blob`: u32 size of the trie in bytes, its u32 units, then replacements that end with a zero byte; empty
  /// is as absent. Errors: file_malformed.
  [[nodiscard]] static Expected<CharsMap> read(std::string_view blob);

  struct Match {
    std::size_t length = 0;        ///< bytes of the text that are replaced
    std::string_view replacement;  ///< may be empty
  };
  /// The longest sequence at the start of `text` that is replaced. Cost: O(its length).
  [[nodiscard]] std::optional<Match> longest(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace troupe
