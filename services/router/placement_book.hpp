#pragma once
// What was placed on each worker and has not begun to answer: the prompt tokens ahead of the next request. A
// heartbeat tells a queue as it was half a second ago, and of all routers; the book knows the rest.
//
//   placed ----> in the book ----> RequestStarted, or its end: out
//                     | a heartbeat says that fewer tokens are queued: the oldest are out
//   what a heartbeat says beyond the book's own: other routers', drained at the learnt speed
#include <cstdint>
#include <map>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

/// Threads: one. Cost: O(requests that wait on the worker).
class PlacementBook {
 public:
  struct Entry {
    RequestId request;
    double uncached_tokens = 0;  ///< to compute
    double prompt_tokens = 0;    ///< what a worker that has not looked at its cache counts as queued
    std::int32_t priority = 0;
    TimePoint placed = {};
    std::uint64_t tenant = 0;  ///< a hash of whose it is
  };
  /// Who asks what is ahead.
  struct Asks {
    std::int32_t priority = 0;
    std::uint64_t tenant = 0;
    double tokens = 0;  ///< to compute, at most
  };
  void placed(const NodeId& node, const Entry& entry);
  /// Its first token came, or it is over.
  void done(const NodeId& node, const RequestId& request, TimePoint now);
  /// A heartbeat of a worker that computes a token in `token_us`: prompt tokens queued in all.
  void reported(const NodeId& node, double queued_tokens, double token_us, TimePoint now);
  void forget(const NodeId& node) { workers_.erase(node); }

  /// Uncached tokens computed before a new request on a worker that computes one in `token_us`. Workers serve
  /// tenants in turn (engine/schedule/tenant_counters.hpp): of another tenant's queue as much counts as its
  /// own tenant has, this request included.
  [[nodiscard]] double queued(const NodeId& node, const Asks& asks, double token_us, TimePoint now) const;
  /// Tokens placed since its last word: their pages are not in it.
  [[nodiscard]] double unseen(const NodeId& node) const;
  /// Requests in the book.
  [[nodiscard]] std::size_t waiting(const NodeId& node) const;

 private:
  struct Worker {
    std::vector<Entry> entries;  // as placed
    TimePoint serving_since{};   // the first of them
    double others = 0;           // tokens that other routers placed, as of `heard`
    TimePoint heard{};
  };
  std::map<NodeId, Worker> workers_;
};

}  // namespace troupe::router
