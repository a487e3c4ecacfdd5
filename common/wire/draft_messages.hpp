#pragma once
// Messages between decode workers and draft services. Rules: message.hpp.
#include "common/wire/message.hpp"

namespace troupe {

using VocabularyId = Id128<struct VocabularyTag>;  ///< hash of a tokenizer's tokens: equal where ids mean the same

namespace wire {

#define X(name, number) inline constexpr std::uint16_t k##name##Number = number;
#include "common/wire/draft_message_ids.def"
#undef X

inline constexpr Bound kMaxDraftEntries{1024};
inline constexpr Bound kMaxGuesses{256};
/// Of one DraftAsk, all entries together: four bytes each, so that it stays under kMaxControlBytes. A longer text goes in parts.
inline constexpr Bound kMaxAskedTokens{8192};

/// Decode worker to draft service: what became of streams, and how much is to be drafted behind it.
struct DraftAsk {
  TROUPE_MESSAGE(DraftAsk, 1, 1);
  struct Entry {
    std::uint64_t session = 0;        ///< of the asking node
    std::uint32_t round = 0;          ///< of this session's orders: the answer repeats it, so that a stale one is known
    std::uint32_t held = 0;           ///< leading tokens that the service has by earlier orders and its own drafts
    std::uint64_t held_hash = 0;      ///< speculation::text_hash of them
    std::vector<TokenId> tokens;      ///< that follow; whatever the service has beyond `held` is rolled back
    std::uint32_t wanted = 0;         ///< tokens to draft; 0: a further part of the text follows
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("session", s.session);
      v("round", s.round);
      v("held", s.held);
      v("held_hash", s.held_hash);
      v("tokens", s.tokens, kMaxAskedTokens);
      v("wanted", s.wanted);
    }
  };
  NodeId node;
  VocabularyId vocabulary;            ///< of the target
  std::uint32_t deadline_ms = 0;      ///< from now; what is not drafted by then is of no use
  std::vector<Entry> entries;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("vocabulary", s.vocabulary);
    v("deadline_ms", s.deadline_ms);
    v("entries", s.entries, kMaxDraftEntries);
  }
};

/// How an order ended. `lost`: the service holds other tokens than the order says, so it must be told the whole text.
enum class DraftOutcome : std::uint8_t { drafted, lost, refused };
[[nodiscard]] constexpr DraftOutcome last_value(DraftOutcome) { return DraftOutcome::refused; }

/// Draft service to decode worker. Guesses only: a target verifies them, so that a wrong one costs time and nothing else.
struct DraftProposal {
  TROUPE_MESSAGE(DraftProposal, 1, 1);
  struct Entry {
    std::uint64_t session = 0;
    std::uint32_t round = 0;
    DraftOutcome outcome = DraftOutcome::drafted;
    std::uint32_t position = 0;       ///< tokens of the text before tokens[0]
    std::vector<TokenId> tokens;      ///< a chain
    std::vector<float> confidence;    ///< of each, once the one before it is right
    std::vector<TokenId> second;      ///< what the draft model ranks behind each of them; as long as tokens, or empty
    std::vector<float> second_confidence;
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("session", s.session);
      v("round", s.round);
      v("outcome", s.outcome);
      v("position", s.position);
      v("tokens", s.tokens, kMaxGuesses);
      v("confidence", s.confidence, kMaxGuesses);
      v("second", s.second, kMaxGuesses);
      v("second_confidence", s.second_confidence, kMaxGuesses);
    }
  };
  NodeId node;
  std::vector<Entry> entries;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("entries", s.entries, kMaxDraftEntries);
  }
};

/// Draft service to whoever sent a Ping: what it can draft for.
struct DraftOffer {
  TROUPE_MESSAGE(DraftOffer, 1, 1);
  std::uint64_t number = 0;           ///< of the Ping; 0: of none
  NodeId node;
  std::vector<VocabularyId> vocabularies;
  bool draining = false;              ///< it takes no more orders
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("number", s.number);
    v("node", s.node);
    v("vocabularies", s.vocabularies);
    v("draining", s.draining);
  }
};

/// Decode worker to draft service: these sessions are over. What is lost of it ends by its lease.
struct DraftForget {
  TROUPE_MESSAGE(DraftForget, 1, 1);
  NodeId node;
  std::vector<std::uint64_t> sessions;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("sessions", s.sessions, kMaxList);
  }
};

}  // namespace wire
}  // namespace troupe
