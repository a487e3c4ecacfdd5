#pragma once
// Recorded requests as the cluster works on them. The gateway's own spans here are `place` (a router is
// asked) and `placement` (a worker has it), one of each for every epoch; other roles' come by Spans messages
// and hang below them, placed in time as common/trace/alignment.hpp says:
//
//   request ─┬─ place      ── placing (router)
//            ├─ placement  ─┬─ pages (decode) ─── queue, prefill, send_pages (prefill worker or peer)
//            │              ├─ queue, first_step (decode)
//            │              └─ decode ── preempted
//            ├─ place      a replay, or the way from a draining worker to another
//            └─ placement
//
// What nobody records is not in here: every call looks at an empty table.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "common/trace/context.hpp"
#include "common/wire/messages.hpp"
#include "services/gateway/request_trace.hpp"

namespace troupe::gateway {

struct TraceLimits {
  std::size_t spans = 1024;  ///< of a request, all roles together; more are dropped and counted
  std::size_t late = 256;    ///< requests that are over and whose last spans may still come
};

/// Threads: one.
class TraceBook {
 public:
  struct Counters {
    std::uint64_t received = 0;  ///< spans of other roles
    std::uint64_t dropped = 0;   ///< over a bound, here or there, or of a request that is not known any more
  };
  using Trace = std::shared_ptr<const RequestTrace>;

  explicit TraceBook(TraceLimits limits = {}) : limits_(limits) {}

  /// `trace` may be null: the request is not recorded.
  void begin(const RequestId& id, Trace trace);
  /// A router is asked; asked again before it answered, it is the same span.
  [[nodiscard]] wire::TraceLink asked(const RequestId& id, Epoch epoch, TimePoint now);
  void refused(const RequestId& id, Epoch epoch, const Error& why, TimePoint now);
  /// A worker gets it. `decode` and `prefill` are names; `prefill` may be empty.
  void placed(const wire::Placement& placement, std::string decode, std::string prefill, TimePoint now);
  /// What an order under this epoch carries.
  [[nodiscard]] wire::TraceLink order(const RequestId& id, Epoch epoch) const;
  /// Its placement ends; `why` is empty when nothing went wrong.
  void left(const RequestId& id, Epoch epoch, std::string_view why, TimePoint now);
  /// The request is over, and with it whatever is open.
  void over(const RequestId& id, std::string_view why, TimePoint now);

  void take(const std::string& from, const wire::Spans& message, TimePoint now);

  [[nodiscard]] const Counters& counters() const { return counters_; }
  /// Held, those that are over included.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  /// An order and what was told of it.
  struct Exchange {
    trace::SpanId id;
    TimePoint sent;
    bool open = true;
    trace::Span span = {};  ///< what is known of it so far
    /// By the order's first choice: when it came, by the clock here.
    std::map<std::uint32_t, TimePoint> heard = {};
  };
  struct Entry {
    Trace trace;
    std::map<Epoch, Exchange> places, placements;
    std::size_t spans = 0;
    bool over = false;
  };
  [[nodiscard]] Entry* find(const RequestId& id);
  [[nodiscard]] static wire::TraceLink link(const Entry& entry, const Exchange& exchange);
  void open(std::map<Epoch, Exchange>& in, Epoch epoch, const char* name, TimePoint now) const;
  void close(Entry& entry, Exchange& exchange, std::string_view why, TimePoint now);
  [[nodiscard]] bool room(Entry& entry);
  [[nodiscard]] static TimePoint came(Exchange& exchange, const wire::Spans& message, Duration age,
                                      TimePoint now);

  TraceLimits limits_;
  std::map<RequestId, Entry> entries_;
  std::deque<RequestId> late_;  // oldest first
  Counters counters_;
};

}  // namespace troupe::gateway
