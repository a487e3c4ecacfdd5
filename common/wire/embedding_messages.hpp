#pragma once
// A text on its way to a vector. Errors, and answers to a Resend while it is computed, come as Tokens, as
// those of a Generate.
#include "common/base/pooling.hpp"
#include "common/wire/message.hpp"

namespace troupe {

[[nodiscard]] constexpr Pooling last_value(Pooling) {
  return Pooling::last;
}

namespace wire {

/// Of a vector: four bytes each, so that its reply is under kMaxControlBytes.
inline constexpr Bound kMaxVector{12000};

/// Gateway to decode worker: the vector of a text. Placed, cancelled, asked after and ended as a Generate of
/// one choice. A text too long for a control message follows as a PromptFrame on the data plane.
struct Embed {
  TROUPE_MESSAGE(Embed, 1, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::string tenant;
  std::vector<TokenId> prompt;  ///< empty when prompt_by_data
  bool prompt_by_data = false;
  std::uint32_t prompt_tokens = 0;
  Pooling pooling = Pooling::mean;
  std::uint32_t deadline_ms = 0;  ///< from now; 0: none
  std::int32_t priority = 0;      ///< higher goes first
  TraceLink trace = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("prompt_by_data", s.prompt_by_data);
    v("prompt_tokens", s.prompt_tokens);
    v("pooling", s.pooling);
    v("deadline_ms", s.deadline_ms);
    v("priority", s.priority);
    v("trace", s.trace);
  }
};

/// Decode worker to gateway: the vector. Sent again when it is asked for.
struct EmbedReply {
  TROUPE_MESSAGE(EmbedReply, 1, 1);
  RequestId request;
  Epoch epoch;
  std::vector<float> vector;        ///< of length 1
  std::uint32_t cached_tokens = 0;  ///< prompt tokens that were not computed for it
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("vector", s.vector, kMaxVector);
    v("cached_tokens", s.cached_tokens);
  }
};

}  // namespace wire
}  // namespace troupe
