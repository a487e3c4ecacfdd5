#pragma once
// Every key of the directory and how long its value lives, once. All begin with "troupe:", so that several
// programs may share one Redis.
//
//   troupe:request:<id>           a RequestRecord (common/wire)       the record's time, and a minute
//   troupe:idempotency:<hash>     the id of the request that came first under a client's key
//   troupe:cached:<id>            cached tokens that an answer reports
//   troupe:response:<id>          a stored response with its conversation   responses.time
//   troupe:routers                names of a roster's members; a member that has expired is taken out when
//   read troupe:routers:<name>         a router's control address          its lease, renewed while it lives
#include <chrono>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::directory {

/// A name and the time its value lives from its writing on.
struct Key {
  std::string name;
  Duration ttl{};
};

/// A record outlives what points to it.
inline constexpr Duration kRecordMargin = std::chrono::minutes(1);
/// Of one member's lease: silence of so many heartbeats takes it out.
inline constexpr int kLeaseBeats = 6;

inline constexpr std::string_view kRouters = "troupe:routers";

[[nodiscard]] inline Key request_key(const RequestId& id, Duration ttl) {
  return {"troupe:request:" + to_hex(id), ttl + kRecordMargin};
}
/// `hash` stands for tenant and key: what a client sends is no name.
[[nodiscard]] inline Key idempotency_key(const RequestId& hash, Duration ttl) {
  return {"troupe:idempotency:" + to_hex(hash), ttl};
}
[[nodiscard]] inline Key cached_key(const RequestId& id, Duration ttl) {
  return {"troupe:cached:" + to_hex(id), ttl + kRecordMargin};
}
[[nodiscard]] inline Key response_key(const RequestId& id, Duration ttl) {
  return {"troupe:response:" + to_hex(id), ttl};
}
[[nodiscard]] inline Key member_key(std::string_view roster, std::string_view member, Duration lease) {
  return {std::string(roster) + ":" + std::string(member), lease};
}

}  // namespace troupe::directory
