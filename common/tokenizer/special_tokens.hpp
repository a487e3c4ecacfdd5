#pragma once
// Finds tokens that stand in the text by their spelling, before any other rule: the leftmost, and of several
// there the longest. Control tokens are looked for only when the caller allows; those a user defined (runs of
// spaces, HTML tags) always, unless they look like a marker ("<|...|>"), since a marker in what a person
// typed is text.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tokenizer/vocabulary.hpp"

namespace troupe {

/// Immutable. Threads: any.
class SpecialTokenFinder {
 public:
  struct Match {
    std::size_t begin, end;  ///< with the space that the token swallows on its sides
    TokenId id;
  };

  SpecialTokenFinder(const Vocabulary& vocabulary, std::string_view file_name, std::string_view pre_name);

  /// The next match at or after `from`. Cost: linear in the text that is passed over.
  [[nodiscard]] std::optional<Match> find(std::string_view text, std::size_t from,
                                          SpecialTokens special) const;
  /// Does a token that only SpecialTokens::parse finds start at `at`, whole or cut off by the end of the text?
  [[nodiscard]] bool control_starts(std::string_view text, std::size_t at) const;

 private:
  struct Entry {
    std::string text;
    TokenId id;
    bool strip_left, strip_right;
  };
  /// Entries sorted by text; `range_of[b]` is where those that start with byte b lie.
  struct Set {
    std::vector<Entry> entries;
    std::array<std::uint32_t, 257> first{};

    void build();
    /// `cut_off`: set when the text ends inside a longer entry.
    [[nodiscard]] const Entry* longest_at(std::string_view text, std::size_t at,
                                          bool* cut_off = nullptr) const;
  };

  Set always_, all_;
};

}  // namespace troupe
