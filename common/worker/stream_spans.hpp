#pragma once
// What one recorded stream went through at its decode worker, stage by stage:
//
//   wait_for_prompt | wait_for_pages or fetch_pages | queue | first_step | decode, one for each choice ──
//   preempted
//
// Engine and actor read one clock, so their moments mix.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/actors/span_log.hpp"
#include "common/engine/engine.hpp"

namespace troupe::worker {

/// Threads: its owner's. Nothing of it exists for a stream that nobody records.
class StreamSpans {
 public:
  /// `log`: of the order; its choices are first_choice .. first_choice + choices - 1.
  StreamSpans(actors::SpanLog log, std::uint32_t first_choice, std::uint32_t choices);

  void prompt_came(TimePoint now);
  /// Pages are asked for: of a peer's cache (`fetch`), or of a prefill worker.
  void pages_asked(bool fetch, TimePoint now);
  /// What an order for them carries.
  [[nodiscard]] wire::TraceLink pages_link() const { return log_.link(pages_); }
  /// They are here, or, with a reason, they will not come. Nothing unless they were asked for.
  void pages_came(std::uint32_t tokens, std::string_view why, TimePoint now);
  /// The first token of the only choice, drawn by whom the pages come from: decoding begins before they are
  /// here.
  void first_came(TimePoint now);
  void made(const engine::TokenEvent& event, TimePoint now);
  /// The stream ends before its choices do: it is cancelled, or fails for a reason.
  void over(std::string_view why, TimePoint now);

  /// Spans to tell now; nothing before a stage has ended.
  [[nodiscard]] std::optional<wire::Spans> take(TimePoint now);
  [[nodiscard]] actors::SpanLog& log() { return log_; }

 private:
  struct Choice {
    trace::SpanId id;
    TimePoint first{};
    std::uint32_t tokens = 0, steps = 0, drafted = 0, accepted = 0;
    bool begun = false, ended = false;
  };
  void begin(Choice& choice, const engine::TokenEvent& event, TimePoint now);
  void begin_first(const engine::TokenEvent& event);
  void away(const Choice& choice, bool first, const engine::StageNews& news);
  void end(Choice& choice, std::uint32_t number, TimePoint at, std::string_view why);

  actors::SpanLog log_;
  std::uint32_t first_choice_;
  std::vector<Choice> choices_;
  trace::SpanId pages_, first_step_;
  bool fetch_ = false;
  std::optional<TimePoint> pages_asked_;
  TimePoint pages_came_{};  ///< zero: they were computed here
  bool due_ = false;        ///< a stage has ended
};

}  // namespace troupe::worker
