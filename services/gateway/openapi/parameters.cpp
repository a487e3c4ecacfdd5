#include "services/gateway/openapi/parameters.hpp"

#include <algorithm>
#include <array>

namespace troupe::gateway::openapi {
namespace {

constexpr std::string_view kText = R"({"type": "string"})";
constexpr std::string_view kEventNumber =
    R"({"type": "integer", "minimum": 0, "maximum": 9223372036854775807})";

constexpr std::array kParameters{
    Parameter{"idempotency_key", "Idempotency-Key", "header",
              "The answer is kept: the same request under the same key gets it again, another one 422.",
              kText},
    Parameter{"anthropic_version", "anthropic-version", "header", "Asks for the answer in Anthropic's form.",
              kText},
    Parameter{"last_event_id", "Last-Event-ID", "header",
              "Number of the last event that came, where `from` is absent.", kEventNumber},
    Parameter{"from", "from", "query", "Number of the first event.", kEventNumber},
    Parameter{"response.stream", "stream", "query", "Whether the response's stream comes once more.",
              R"({"type": "boolean", "default": false})"},
    Parameter{"starting_after", "starting_after", "query", "Number of the last event that came.",
              kEventNumber},
    Parameter{"items.limit", "limit", "query", "Most of a page.",
              R"({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})"},
    Parameter{"batches.limit", "limit", "query", "Most of a page.",
              R"({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})"},
    Parameter{"files.limit", "limit", "query", "Most of a page.",
              R"({"type": "integer", "minimum": 1, "maximum": 10000, "default": 10000})"},
    Parameter{"order", "order", "query", "By the time it came.",
              R"({"enum": ["asc", "desc"], "default": "desc"})"},
    Parameter{"after", "after", "query", "Id that the page begins behind.", kText},
    Parameter{"purpose", "purpose", "query", "Only of this purpose.", kText},
    Parameter{"response_id", "response_id", "path", "Id of the response.", kText},
    Parameter{"file_id", "file_id", "path", "Id of the file.", kText},
    Parameter{"batch_id", "batch_id", "path", "Id of the batch.", kText},
    Parameter{"request_id", "request_id", "path",
              "Id of the request, as x-request-id or the answer's id told it.", kText},
    Parameter{"model", "model", "path", "Name of the model; it may have slashes.", kText},
    Parameter{"file", "file", "path", "Name of the file.", kText},
    Parameter{"run", "run", "path", "Name of the run.", kText},
    Parameter{"worker", "worker", "path", "Name of the worker.", kText},
    Parameter{"operation", "operation", "path", "What it shall do.",
              R"({"enum": ["drain", "undrain", "kill"]})"},
};

}  // namespace

std::span<const Parameter> parameters() {
  return kParameters;
}

const Parameter* find_parameter(std::string_view key) {
  const auto at = std::ranges::find(kParameters, key, &Parameter::key);
  return at == kParameters.end() ? nullptr : &*at;
}

}  // namespace troupe::gateway::openapi
