#pragma once
// A request on its workers: the order, its tokens, its end, and how a stream goes on elsewhere.
#include "common/wire/message.hpp"

namespace troupe::wire {

struct WireSampling {
  SamplingParams p;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("temperature", s.p.temperature);
    v("top_k", s.p.top_k);
    v("top_p", s.p.top_p);
    v("min_p", s.p.min_p);
    v("typical_p", s.p.typical_p);
    v("repetition_penalty", s.p.repetition_penalty);
    v("frequency_penalty", s.p.frequency_penalty);
    v("presence_penalty", s.p.presence_penalty);
    v("logit_bias", s.p.logit_bias);
    v("seed", s.p.seed);
    v("logprobs", s.p.logprobs);
    v("report_logprobs", s.p.report_logprobs);
  }
};

/// Gateway to decode worker. A prompt too long for a control message follows as a PromptFrame on the data plane.
struct Generate {
  TROUPE_MESSAGE(Generate, 11, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::string tenant;
  std::vector<TokenId> prompt;          ///< empty when prompt_by_data
  bool prompt_by_data = false;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t resumed_tokens = 0;
  std::uint32_t first_choice = 0;
  std::uint32_t choices = 1;
  std::uint32_t max_tokens = 1;
  std::vector<TokenId> stop_tokens;
  WireSampling sampling;
  bool prompt_logprobs = false;
  std::uint32_t deadline_ms = 0;        ///< from now; 0: none
  std::string prefill_address;          ///< empty: prefill here
  std::string prefill_data_address;
  std::int32_t priority = 0;            ///< higher goes first
  std::string fetch_address;            ///< a worker to ask for the prompt's pages first; empty: none
  std::uint32_t fetch_tokens = 0;       ///< leading ones it may hold
  ModelId prefill_model;                ///< as in the Placement
  std::string drafter;                  ///< off, auto or a name; empty: the worker's option
  TraceLink trace = {};
  grammar::Source grammar = {};         ///< what the answer must look like
  BeamParams beam = {};                 ///< width > 0: choices are the best hypotheses of a beam search
  TokenRules rules = {};
  std::vector<TokenId> reference = {};  ///< what the answer is thought to be, for drafters
  SuperposedParams superposed = {};     ///< drafts > 0: choices are the best of as many superposed drafts
  /// A worker that does not know grammars would answer in any form, one that does not know beams or superposed drafts would draw, one that does not know
  /// a rule or a sampler would draw what it forbids.
  [[nodiscard]] std::uint16_t oldest_reader() const {
    if (superposed.drafts > 0) return 11;
    if (rules.any() || new_sampler(sampling.p)) return 10;
    if (beam.width > 0 || grammar.kind == grammar::Kind::tagged) return 9;
    return grammar.kind == grammar::Kind::none ? kOldestReader : std::uint16_t{8};
  }
  /// Something of what version 10 brought is asked for.
  [[nodiscard]] static bool new_sampler(const SamplingParams& p) {
    return p.repeat_last_n != -1 || p.top_n_sigma > 0.0f || p.xtc_probability > 0.0f || p.dynatemp_range > 0.0f ||
           p.dry.multiplier > 0.0f;
  }
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("prompt_by_data", s.prompt_by_data);
    v("prompt_tokens", s.prompt_tokens);
    v("resumed_tokens", s.resumed_tokens);
    v("first_choice", s.first_choice);
    v("choices", s.choices);
    v("max_tokens", s.max_tokens);
    v("stop_tokens", s.stop_tokens);
    v("sampling", s.sampling);
    v("prompt_logprobs", s.prompt_logprobs);
    v("deadline_ms", s.deadline_ms);
    v("prefill_address", s.prefill_address);
    v.since(2, "prefill_data_address", s.prefill_data_address);
    v.since(3, "priority", s.priority);
    v.since(4, "fetch_address", s.fetch_address);
    v.since(4, "fetch_tokens", s.fetch_tokens);
    v.since(5, "prefill_model", s.prefill_model);
    v.since(6, "drafter", s.drafter);
    v.since(7, "trace", s.trace);
    v.since(8, "grammar_kind", s.grammar.kind);
    v.since(8, "grammar_text", s.grammar.text, kMaxGrammar);
    v.since(9, "beam_width", s.beam.width);
    v.since(9, "beam_groups", s.beam.groups);
    v.since(9, "beam_diversity_penalty", s.beam.diversity_penalty);
    v.since(9, "beam_length_penalty", s.beam.length_penalty);
    v.since(9, "beam_early_stopping", s.beam.early_stopping);
    v.since(10, "min_tokens", s.rules.min_tokens);
    v.since(10, "allowed_tokens", s.rules.allowed, kMaxList);
    v.since(10, "bad_words", s.rules.bad_words);
    v.since(10, "reference", s.reference, kMaxList);
    v.since(10, "repeat_last_n", s.sampling.p.repeat_last_n);
    v.since(10, "top_n_sigma", s.sampling.p.top_n_sigma);
    v.since(10, "xtc_probability", s.sampling.p.xtc_probability);
    v.since(10, "xtc_threshold", s.sampling.p.xtc_threshold);
    v.since(10, "dynatemp_range", s.sampling.p.dynatemp_range);
    v.since(10, "dynatemp_exponent", s.sampling.p.dynatemp_exponent);
    v.since(10, "dry_multiplier", s.sampling.p.dry.multiplier);
    v.since(10, "dry_base", s.sampling.p.dry.base);
    v.since(10, "dry_allowed_length", s.sampling.p.dry.allowed_length);
    v.since(10, "dry_last_n", s.sampling.p.dry.last_n);
    v.since(10, "dry_breakers", s.sampling.p.dry.breakers, kMaxList);
    v.since(10, "dry_breaker_runs", s.sampling.p.dry.breaker_runs);
    v.since(11, "superposed_drafts", s.superposed.drafts);
    v.since(11, "superposed_alpha", s.superposed.alpha);
    v.since(11, "superposed_temperature", s.superposed.temperature);
    v.since(11, "superposed_candidates", s.superposed.candidates);
  }
};

struct WireToken {
  TokenId token = 0;
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("token", s.token);
    v("logprob", s.logprob);
    v("top", s.top);
  }
};

/// Decode worker to gateway: everything one engine step made for that gateway, as one message.
struct Tokens {
  TROUPE_MESSAGE(Tokens, 5, 1);
  struct Entry {
    RequestId request;
    Epoch epoch;
    std::uint32_t choice = 0;
    std::uint32_t first_index = 0;      ///< index in the answer of tokens[0]
    std::vector<WireToken> tokens;
    FinishReason finish = FinishReason::none;
    std::optional<WireError> error;
    std::uint32_t cached_tokens = 0;
    std::vector<WireToken> prompt_tokens;
    std::uint32_t prompt_first = 0;     ///< index of prompt_tokens[0]: a long echo comes in parts
    std::uint32_t prompt_total = 0;     ///< prompt tokens reported in all
    std::uint32_t drafted = 0;          ///< guesses computed for this choice under this epoch so far
    std::uint32_t accepted = 0;         ///< of them, those that came true
    std::optional<double> score = {};   ///< of a hypothesis of a beam search or a superposed draft; it travels beside the entries
    template <class V, class S>
    static void fields(V&& v, S& s) {
      v("request", s.request);
      v("epoch", s.epoch);
      v("choice", s.choice);
      v("first_index", s.first_index);
      v("tokens", s.tokens, kMaxList);
      v("finish", s.finish);
      v("error", s.error);
      v("cached_tokens", s.cached_tokens);
      v("prompt_tokens", s.prompt_tokens, kMaxPromptTokens);
      v.since(2, "prompt_first", s.prompt_first);
      v.since(2, "prompt_total", s.prompt_total);
      v.since(4, "drafted", s.drafted);
      v.since(4, "accepted", s.accepted);
    }
  };
  NodeId node;
  std::uint64_t step = 0;
  std::vector<Entry> entries;
  std::vector<std::uint32_t> converted = {};  ///< indices of entries whose prompts' pages came from other numbers: lossy
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("step", s.step);
    v("entries", s.entries, kMaxList);
    v.since(3, "converted", s.converted, kMaxList);
    std::vector<std::pair<std::uint32_t, double>> scores;  // by entry: entries do not grow (README, "Releases")
    for (std::uint32_t i = 0; i < s.entries.size(); ++i)
      if (s.entries[i].score) scores.emplace_back(i, *s.entries[i].score);
    v.since(5, "scores", scores, kMaxList);
    if constexpr (!std::is_const_v<S>)
      for (const auto& [entry, score] : scores)
        if (entry < s.entries.size()) s.entries[entry].score = score;
  }
};

/// Gateway to decode worker: tokens of a choice from `first_index` on are missing, send them again.
struct Resend {
  TROUPE_MESSAGE(Resend, 1, 1);
  RequestId request;
  Epoch epoch;
  std::uint32_t choice = 0;
  std::uint32_t first_index = 0;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("choice", s.choice);
    v("first_index", s.first_index);
  }
};

/// Gateway to decode worker, decode worker to prefill worker.
struct Cancel {
  TROUPE_MESSAGE(Cancel, 1, 1);
  RequestId request;
  Epoch epoch;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
  }
};

/// Decode worker to prefill worker: compute the prompt's pages and send them to `data_address`.
struct PrefillRequest {
  TROUPE_MESSAGE(PrefillRequest, 5, 1);
  RequestId request;
  Epoch epoch;
  ModelId model;
  std::string tenant;
  std::vector<TokenId> prompt;
  bool prompt_by_data = false;
  std::uint32_t tokens = 0;             ///< leading prompt tokens whose KV is wanted
  std::uint32_t skip_tokens = 0;        ///< of these, what the decode worker already holds (whole pages)
  std::string data_address;
  std::uint32_t deadline_ms = 0;
  std::int32_t priority = 0;            ///< higher goes first
  LeaseId lease;                        ///< of the reserved pages: frames carry it
  std::string host;                     ///< of who asks: equal ones share memory; empty: none
  TraceLink trace = {};
  std::uint32_t prompt_tokens = 0;      ///< of the whole prompt, which comes where the first token is wanted; 0: `tokens`
  /// Payload of the Generate it is for, without its prompt: draw its first token too, and tell it before the pages are
  /// sent. Of that message's own version, so whoever does not know all that it asks for draws nothing. Empty: not wanted.
  std::vector<std::uint8_t> order = {};
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("model", s.model);
    v("tenant", s.tenant);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("prompt_by_data", s.prompt_by_data);
    v("tokens", s.tokens);
    v("skip_tokens", s.skip_tokens);
    v("data_address", s.data_address);
    v("deadline_ms", s.deadline_ms);
    v.since(2, "priority", s.priority);
    v.since(3, "lease", s.lease);
    v.since(3, "host", s.host);
    v.since(4, "trace", s.trace);
    v.since(5, "prompt_tokens", s.prompt_tokens);
    v.since(5, "order", s.order, kMaxList);
  }
};

/// Prefill worker to decode worker: every frame left, or, with `pending`, the first token is there before them.
struct PrefillDone {
  TROUPE_MESSAGE(PrefillDone, 2, 1);
  RequestId request;
  Epoch epoch;
  std::optional<WireError> error;
  std::uint32_t frames = 0;             ///< sent in all, so that the receiver knows when it has them
  std::uint32_t cached_tokens = 0;      ///< served from the prefill worker's own cache
  bool pending = false;                 ///< pages are still to come; said only to those who want the first token
  std::optional<WireToken> drawn = {};  ///< the answer's token `drawn_index`, said again at the end
  std::uint32_t drawn_choice = 0;
  std::uint32_t drawn_index = 0;        ///< resumed tokens included
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("epoch", s.epoch);
    v("error", s.error);
    v("frames", s.frames);
    v("cached_tokens", s.cached_tokens);
    v.since(2, "pending", s.pending);
    v.since(2, "drawn", s.drawn);
    v.since(2, "drawn_choice", s.drawn_choice);
    v.since(2, "drawn_index", s.drawn_index);
  }
};

/// Kept in the directory under its request's id: enough to make the same answer again at any gateway.
struct RequestRecord {
  TROUPE_MESSAGE(RequestRecord, 1, 1);
  RequestId request;
  bool chat = false;
  bool stream = false;
  std::string body;            ///< as the client sent it
  std::vector<TokenId> prompt; ///< of a chat: its template may read the clock
  std::uint64_t seed = 0;
  std::int64_t created = 0;    ///< seconds since 1970, as the answer says
  ModelId model;               ///< other weights or numerics give another answer
  RequestId owner;             ///< hash of the client's credentials: nobody else may ask for it
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("request", s.request);
    v("chat", s.chat);
    v("stream", s.stream);
    v("body", s.body, kMaxRecordedBody);
    v("prompt", s.prompt, kMaxPromptTokens);
    v("seed", s.seed);
    v("created", s.created);
    v("model", s.model);
    v("owner", s.owner);
  }
};

/// Draining worker to gateway, again and again until they are gone: take these streams elsewhere. They go on here until
/// the gateway cancels them, their pages can be fetched.
struct Handover {
  TROUPE_MESSAGE(Handover, 1, 1);
  NodeId node;
  std::vector<std::pair<RequestId, Epoch>> streams;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.node);
    v("streams", s.streams, kMaxList);
  }
};

}  // namespace troupe::wire
