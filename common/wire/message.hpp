#pragma once
// What messages between processes are made of: numbers, bounds, and the parts that several share. The messages lie beside it by
// topic, messages.hpp has them all. Numbers: message_ids.def. Rules for changing one: codec.hpp and README, "Add a message".
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/grammar/source.hpp"
#include "common/sampling/params.hpp"
#include "common/trace/context.hpp"
#include "common/wire/codec.hpp"

namespace troupe {

// Enumerations and structs of other folders that travel.
[[nodiscard]] constexpr FinishReason last_value(FinishReason) { return FinishReason::error; }
[[nodiscard]] constexpr EarlyStopping last_value(EarlyStopping) { return EarlyStopping::never; }
[[nodiscard]] constexpr Errc last_value(Errc) { return static_cast<Errc>(0xFFFF); }

namespace wire {

#define X(name, number) inline constexpr std::uint16_t k##name##Number = number;
#include "common/wire/message_ids.def"
#undef X

/// Name and versions of a message struct.
#define TROUPE_MESSAGE(name, version, oldest)                       \
  static constexpr std::string_view kName = #name;                  \
  static constexpr std::uint16_t kNumber = k##name##Number;         \
  static constexpr std::uint16_t kVersion = version;                \
  static constexpr std::uint16_t kOldestReader = oldest

inline constexpr Bound kMaxPromptTokens{1u << 20};
inline constexpr Bound kMaxBlocks{1u << 17};
inline constexpr Bound kMaxList{1u << 16};
inline constexpr Bound kMaxDetail{16384};
inline constexpr Bound kMaxSpans{64};
inline constexpr Bound kMaxGrammar{grammar::kMostSourceBytes};
inline constexpr Bound kMaxRecordedBody{8u << 20};
/// Larger payloads travel on the data plane.
inline constexpr std::size_t kMaxControlBytes = 48 * 1024;

enum class Role : std::uint8_t { gateway, router, prefill, decode };
[[nodiscard]] constexpr Role last_value(Role) { return Role::decode; }

struct WireError {
  Errc code = Errc::internal;
  std::string detail;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("code", s.code);
    v("detail", s.detail, kMaxDetail);
  }
};

/// The span that an order belongs to: its own work hangs below it. Zero: nobody records the request.
struct TraceLink {
  trace::TraceId id;
  trace::SpanId span;
  [[nodiscard]] bool recorded() const { return !id.is_zero(); }
  bool operator==(const TraceLink&) const = default;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("id", s.id);
    v("span", s.span);
  }
};

struct ModelInfo {
  std::string name;
  ModelId id;
  std::uint32_t context_length = 0;
  std::uint32_t layers = 0;
  std::uint32_t layer_page_bytes = 0;
  std::string numerics_id;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("name", s.name);
    v("id", s.id);
    v("context_length", s.context_length);
    v("layers", s.layers);
    v("layer_page_bytes", s.layer_page_bytes);
    v("numerics_id", s.numerics_id);
  }
};

/// Load of one model on one worker, as of a heartbeat.
struct Load {
  ModelId model;
  std::uint32_t running = 0, waiting = 0;
  std::uint32_t pages_total = 0, pages_free = 0, pages_cached = 0, pages_reserved = 0;
  std::uint32_t queued_prompt_tokens = 0;
  std::uint64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;
  std::uint32_t capacity = 0;  ///< running and waiting together at most; 0: not said
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("model", s.model);
    v("running", s.running);
    v("waiting", s.waiting);
    v("pages_total", s.pages_total);
    v("pages_free", s.pages_free);
    v("pages_cached", s.pages_cached);
    v("pages_reserved", s.pages_reserved);
    v("queued_prompt_tokens", s.queued_prompt_tokens);
    v("prompt_tokens", s.prompt_tokens);
    v("generated_tokens", s.generated_tokens);
    v("cached_tokens", s.cached_tokens);
    v.since(2, "capacity", s.capacity);
  }
};

}  // namespace wire
}  // namespace troupe
