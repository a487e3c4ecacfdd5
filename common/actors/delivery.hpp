#pragma once
// How a role reads a message: each kind it takes has a handler, and everything else is refused in one way.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/log.hpp"
#include "common/wire/messages.hpp"

namespace troupe::actors {

/// One message on its way to the handler of its kind. What does not parse, or has no handler here, adds one
/// to `refused` and is logged; nothing else happens to it.
class Delivery {
 public:
  Delivery(std::string_view role, const std::string& from, const wire::Envelope& message,
           std::uint64_t& refused)
      : role_(role), from_(from), message_(message), refused_(refused) {}

  /// Calls `handle(M)` when the message is an M.
  template <class M, class Handler>
  Delivery& on(Handler&& handle) {
    if (taken_ || message_.type != M::kNumber) return *this;
    taken_ = true;
    auto decoded = wire::unpack<M>(message_);
    if (decoded) {
      std::forward<Handler>(handle)(std::move(*decoded));
    } else {
      ++refused_;
      log::warn("message refused", {{"role", role_}, {"from", from_}, {"error", to_string(decoded.error())}});
    }
    return *this;
  }
  /// After the last handler.
  void end() {
    if (taken_) return;
    ++refused_;
    log::warn("message not for this role",
              {{"role", role_}, {"from", from_}, {"type", wire::message_name(message_.type)}});
  }

 private:
  std::string_view role_;
  const std::string& from_;
  const wire::Envelope& message_;
  std::uint64_t& refused_;
  bool taken_ = false;
};

}  // namespace troupe::actors
