#pragma once
// What a role tells of one recorded order: spans as offsets from when the order came, in bounded messages, so
// that no process needs to know another's clock (common/trace/alignment.hpp).
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/wire/messages.hpp"

namespace troupe::actors {

/// Who tells, and of which order.
struct SpanSource {
  RequestId request;
  Epoch epoch;
  std::uint32_t choice = 0;  ///< first one of the order
  wire::Role role = wire::Role::decode;
  std::string name;  ///< in the cluster; empty: its address tells
};

/// What a span says beside its times.
struct SpanDetails {
  bool failed = false;
  std::vector<std::pair<std::string, std::int64_t>> numbers = {};
  std::vector<std::pair<std::string, std::string>> texts = {};
};

/// Of one order, made only where somebody records it. Threads: its owner's.
class SpanLog {
 public:
  static constexpr std::size_t kMostSpans = 256;  ///< of one order, passed on ones included; more are dropped

  /// `heard`: when the order came.
  SpanLog(const wire::TraceLink& order, SpanSource source, TimePoint heard);

  [[nodiscard]] TimePoint heard() const { return heard_; }
  /// An id for a span whose children are told of before it ends.
  [[nodiscard]] trace::SpanId next_id();
  /// What an order that is given on behalf of `span` carries.
  [[nodiscard]] wire::TraceLink link(trace::SpanId span) const { return {order_.id, span}; }

  /// Below the order's span.
  void add(std::string_view name, TimePoint from, TimePoint to, SpanDetails details = {});
  void add(trace::SpanId id, trace::SpanId parent, std::string_view name, TimePoint from, TimePoint to,
           SpanDetails details = {});
  [[nodiscard]] trace::SpanId order_span() const { return order_.span; }

  /// What was added since, as a message that leaves now; nothing when nothing was.
  [[nodiscard]] std::optional<wire::Spans> take(TimePoint now);
  /// What another role told of an order that was given for this one at `asked`: the same, counted from this
  /// order's coming. Nothing when it is over the bound.
  [[nodiscard]] std::optional<wire::Spans> pass_on(wire::Spans theirs, TimePoint asked, TimePoint now);

 private:
  [[nodiscard]] std::int64_t offset(TimePoint at) const;
  [[nodiscard]] wire::Spans message(TimePoint now);

  wire::TraceLink order_;
  SpanSource source_;
  TimePoint heard_;
  std::vector<wire::Spans::Span> waiting_;  // at most wire::kMaxSpans
  std::size_t taken_ = 0;
  std::uint32_t dropped_ = 0;  // since the last message
  std::uint64_t ids_ = 0;
};

}  // namespace troupe::actors
