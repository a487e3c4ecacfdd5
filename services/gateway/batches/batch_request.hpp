#pragma once
// What clients ask of /v1/batches and of lists, as checked values.
#include <cstdint>
#include <span>
#include <string_view>

#include "services/gateway/batches/batch.hpp"
#include "services/gateway/batches/batch_store.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {

inline constexpr std::int64_t kBatchWindow = 24 * 3600;  ///< seconds: "24h", the only one there is

/// Objects of a batch's body that take a field; a sum.
inline constexpr Endpoints kBatch = 1, kExpiry = 2;
[[nodiscard]] std::span<const Field> batch_fields();

/// A new batch as its body describes it; who asks and when is not in it.
/// Errors: malformed_json, missing_required_parameter, invalid_value, unknown_parameter.
[[nodiscard]] Parsed<Batch> parse_batch(std::string_view body);

/// after, limit, order and purpose of a list's query. Errors: invalid_value.
[[nodiscard]] Parsed<PageAsked> parse_page(std::string_view query, std::int64_t usual_limit,
                                           std::int64_t most);

/// {"object": "list", ...}: what of `rows` fits the page; one more than fits says that there is more.
template <class Row, class Write, class Id>
[[nodiscard]] std::string list_json(const std::vector<Row>& rows, std::int64_t limit, Write write, Id id) {
  const bool more = static_cast<std::int64_t>(rows.size()) > limit;
  const std::size_t count = more ? static_cast<std::size_t>(limit) : rows.size();
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    out += write(rows[i]);
  }
  const auto quoted = [&](std::size_t i) {
    return count == 0 ? std::string("null") : "\"" + id(rows[i]) + "\"";
  };
  out += "],\"first_id\":" + quoted(0) + ",\"last_id\":" + quoted(count == 0 ? 0 : count - 1);
  return out + ",\"has_more\":" + (more ? "true}" : "false}");
}

}  // namespace troupe::gateway
