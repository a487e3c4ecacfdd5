#pragma once
// Which errors a route may answer, from error_codes.def and from what its kind of work brings.
#include <span>
#include <string_view>
#include <vector>

#include "services/gateway/json_reader.hpp"
#include "services/gateway/routes.hpp"

namespace troupe::gateway::openapi {

struct ErrorCode {
  std::string_view name;
  int status;
  std::string_view retry, sentence;
};
/// Those of error_codes.def, and those that only the gateway has.
[[nodiscard]] std::span<const ErrorCode> error_codes();

/// How an API tells errors.
struct ErrorStyle {
  std::string_view prefix;  ///< of the names of its answers in components/responses
  std::string_view schema;
  ErrorForm write;  ///< null: its client says which, and statuses are the same in each
};
[[nodiscard]] std::span<const ErrorStyle> error_styles();
[[nodiscard]] const ErrorStyle& style_of(const Route& route);

/// Statuses of a route's errors, as its API has them; ascending.
[[nodiscard]] std::vector<int> error_statuses(const Route& route);
/// Every status that this style may answer, with the codes that have it, as an object of
/// components/responses.
[[nodiscard]] Json error_answers(const ErrorStyle& style);

}  // namespace troupe::gateway::openapi
