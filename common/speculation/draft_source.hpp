#pragma once
// Guesses that somebody else makes, on another thread or in another process. Nobody waits for them: they are
// ordered in one step and used in a later one, if they have come by then and still fit the text.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/hash.hpp"
#include "common/base/ids.hpp"

namespace troupe::speculation {

/// One stream of one engine; never reused.
using SequenceNumber = StrongId<struct SequenceTag>;

/// By which both sides know that they speak of the same text.
[[nodiscard]] inline std::uint64_t text_hash(std::span<const TokenId> tokens) {
  return xxh3_64(std::as_bytes(tokens));
}

/// A text is `held` tokens that the source has already, then `tokens`; `wanted` guesses are to follow it.
struct DraftOrder {
  SequenceNumber sequence;
  std::uint32_t round = 0;  ///< of this sequence; a later order replaces what is left of earlier ones
  std::uint32_t held = 0;   ///< told of before, or guessed by the source; what it has beyond is rolled back
  std::uint64_t held_hash = 0;  ///< text_hash of them
  std::vector<TokenId> tokens;
  std::uint32_t wanted = 0;
};

struct Guess {
  TokenId token = 0;
  float confidence = 0;  ///< 0..1, once the guess before it is right
  TokenId second = -1;   ///< the runner-up; -1: none
  float second_confidence = 0;
};

/// What came of an order.
struct DraftAnswer {
  enum class Kind : std::uint8_t {
    drafted,
    lost,     ///< the source holds another text: it must be told the whole one
    refused,  ///< nothing will come: too late, too much, nobody there
  };
  std::uint32_t round = 0;
  Kind kind = Kind::drafted;
  std::uint32_t position = 0;  ///< tokens of the text before the first guess
  std::vector<Guess> guesses;  ///< a chain
};

/// Threads: the engine's. Cost: microseconds, never a wait for somebody else, unless it says so itself.
class DraftSource {
 public:
  virtual ~DraftSource() = default;
  /// false: nobody is there, or too much waits; nothing came of it.
  [[nodiscard]] virtual bool order(DraftOrder order) = 0;
  /// The last answer that came for this sequence, once.
  [[nodiscard]] virtual std::optional<DraftAnswer> take(SequenceNumber sequence) = 0;
  /// The sequence is over, or gives way.
  virtual void forget(SequenceNumber sequence) = 0;
};

}  // namespace troupe::speculation
