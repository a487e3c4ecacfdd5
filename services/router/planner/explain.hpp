#pragma once
// What the planner thinks, for people: GET /state.
#include <string>

#include "services/router/planner/planner.hpp"

namespace troupe::router {

/// An object: the verdict, what it rests on (traffic, costs), and how hybrids and the best split would do.
/// Times in microseconds; "predicted" is null while too little was seen.
[[nodiscard]] std::string to_json(const Planner::View& view);

}  // namespace troupe::router
