#pragma once
// Who may come in: what a request shows, whose it is, and what its key opens.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.hpp"
#include "services/gateway/http_errors.hpp"
#include "services/gateway/key_ring.hpp"

namespace troupe::gateway {

/// What stands before a route, where there are keys. Without keys all are open.
enum class Door : std::uint8_t { open, inference, admin };

/// Who asks, as far as it is known.
struct Caller {
  RequestId owner;      ///< whose records it may ask for again
  std::string tenant;   ///< whose cached prompts it finds, whose share of the cluster it takes
  bool showed = false;  ///< a credential, of whatever kind
  std::shared_ptr<const HeldKey> key = nullptr;  ///< null: there are no keys, or what it showed is none

  [[nodiscard]] bool may_use(std::string_view model) const { return !key || key->key.may_use(model); }
  [[nodiscard]] std::string_view name() const { return key ? std::string_view(key->key.name) : ""; }
};

/// Reads what a request shows, once: the headers are gone from it afterwards, so that nothing that shows a
/// request shows a key. `ring` is null where there are no keys.
[[nodiscard]] Caller take_caller(Request& request, const KeyRing* ring);

/// Why this caller does not get through: 401 without a key or with an unknown one, 403 with one that does not
/// open this door. `keys`: there are any.
[[nodiscard]] std::optional<ApiError> refusal(const Caller& caller, Door door, bool keys);
/// 429 in OpenAI's words, with Retry-After where waiting helps.
[[nodiscard]] ApiError to_api(const LimitRefusal& refusal);

/// The secret in an Authorization header: a Bearer token, or the password of Basic, by which browsers ask a
/// person for it. Empty: none.
[[nodiscard]] std::string secret_in(std::string_view authorization);

}  // namespace troupe::gateway
