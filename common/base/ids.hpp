#pragma once
// Ids are distinct types: a RequestId cannot be passed where a NodeId is meant.
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "common/base/error.hpp"

namespace troupe {

/// A number with a tag. Default-constructed is 0.
template <class Tag, class Rep = std::uint64_t>
struct StrongId {
  Rep value{};
  auto operator<=>(const StrongId&) const = default;
};

/// 16 opaque bytes with a tag: hashes and unguessable ids.
template <class Tag>
struct Id128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Id128&) const = default;
  [[nodiscard]] bool is_zero() const { return high == 0 && low == 0; }
};

using RequestId = Id128<struct RequestTag>;  ///< made by the gateway from the system's random source
using BlockKey = Id128<struct BlockTag>;     ///< chained XXH3-128 of 16 tokens (design, section 5)
using ModelId = Id128<struct ModelTag>;      ///< hash of the weight file and of what changes its output
using NodeId = Id128<struct NodeTag>;        ///< one incarnation of one role; new at every start
using Epoch = StrongId<struct EpochTag, std::uint32_t>;  ///< of a placement: older ones are dropped
using LeaseId = StrongId<struct LeaseTag>;  ///< one reservation of pages, made by the worker that holds it; 0: none

using TokenId = std::int32_t;

namespace detail {
std::string hex128(std::uint64_t high, std::uint64_t low);
bool parse_hex128(std::string_view text, std::uint64_t& high, std::uint64_t& low);
}  // namespace detail

/// 32 lower-case hex digits.
template <class Tag>
[[nodiscard]] std::string to_hex(const Id128<Tag>& id) {
  return detail::hex128(id.high, id.low);
}
/// Errors: invalid_argument unless exactly 32 hex digits.
template <class Id>
[[nodiscard]] Expected<Id> id_from_hex(std::string_view text) {
  Id id;
  if (!detail::parse_hex128(text, id.high, id.low)) return fail(Errc::invalid_argument, "an id is 32 hex digits");
  return id;
}

/// 128 bits from the operating system's random source.
template <class Id>
[[nodiscard]] Id random_id();
namespace detail {
void random_bytes(void* out, std::size_t size);
}
template <class Id>
Id random_id() {
  Id id;
  detail::random_bytes(&id.high, sizeof id.high);
  detail::random_bytes(&id.low, sizeof id.low);
  return id;
}

}  // namespace troupe

template <class Tag>
struct std::hash<troupe::Id128<Tag>> {
  std::size_t operator()(const troupe::Id128<Tag>& id) const noexcept { return id.high ^ (id.low * 0x9E3779B97F4A7C15ULL); }
};
template <class Tag, class Rep>
struct std::hash<troupe::StrongId<Tag, Rep>> {
  std::size_t operator()(const troupe::StrongId<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value); }
};
