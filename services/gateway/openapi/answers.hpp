#pragma once
// JSON schemas of what the gateway answers. The writers of answers have no tables, so this is told by hand;
// tests hold real answers to it.
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway::openapi {

/// Names in the document's components, and their schemas.
[[nodiscard]] Json answer_schemas();

}  // namespace troupe::gateway::openapi
