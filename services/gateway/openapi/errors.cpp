#include "services/gateway/openapi/errors.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

#include "services/gateway/anthropic/message_errors.hpp"
#include "services/gateway/ollama/line_writer.hpp"
#include "services/gateway/openapi/shapes.hpp"

namespace troupe::gateway::openapi {
namespace {

constexpr auto kCodes = std::to_array<ErrorCode>({
#define X(name, number, status, retry, sentence) {#name, status, #retry, sentence},
#include "common/base/error_codes.def"
#undef X
    {"missing_required_parameter", 400, "never", "A field that must be there is not."},
    {"unknown_parameter", 400, "never", "There is no field of this name here."},
    {"unsupported_parameter", 400, "never",
     "The field's value would change the answer and is not supported."},
    {"invalid_type", 400, "never", "The field has another JSON type."},
    {"invalid_value", 400, "never", "The field is out of its bounds, or does not go with another."},
    {"invalid_request", 400, "never", "What is asked cannot be done to this object."},
    {"invalid_batch_status", 400, "never", "A batch that has ended cannot be cancelled."},
    {"previous_response_not_found", 400, "never", "The response to go on from is not stored."},
    {"item_not_found", 404, "never", "The item that is referred to is not stored."},
    {"malformed_multipart", 400, "never", "The body is no whole multipart form."},
    {"file_in_use", 409, "later", "A batch that has not ended reads the file."},
    {"unsupported_media_type", 415, "never", "Files come as multipart/form-data."},
    {"file_quota_exceeded", 429, "never", "The owner keeps as many files or bytes as it may."},
    {"too_many_uploads", 429, "later", "As many files come in as may at a time."},
    {"batch_limit_exceeded", 429, "later", "The owner has as many open batches as it may."},
    {"not_implemented", 501, "never", "This gateway does not do that."},
    {"batch_store_unavailable", 503, "later", "Files and batches cannot be kept now."},
});

/// What can happen to any request before it has a route: in OpenAI's form at every route.
constexpr std::array kOfConnections{400, 408, 413, 417, 431, 500, 503};

constexpr std::array kStyles{
    ErrorStyle{"Error", "Error", to_response},
    ErrorStyle{"AnthropicError", "AnthropicError", anthropic::error_response},
    ErrorStyle{"OllamaError", "OllamaError", ollama::error_response},
    ErrorStyle{"ModelError", "ModelError", nullptr},
};

int told(const ErrorStyle& style, const ErrorCode& code) {
  ApiError error;
  error.status = code.status;
  error.code = code.name;
  return style.write == nullptr ? code.status : style.write(error).status;
}

bool is_of_connections(int status) {
  return std::ranges::find(kOfConnections, status) != kOfConnections.end();
}

Json schema_at(const ErrorStyle& style, int status) {
  const bool both = style.schema != kStyles.front().schema && is_of_connections(status);
  if (!both) return reference(style.schema);
  Json any = Json::array();
  any.push_back(reference(style.schema));
  any.push_back(reference(kStyles.front().schema));
  return Json{{"anyOf", std::move(any)}};
}

Json answer(const ErrorStyle& style, int status, const std::vector<const ErrorCode*>& codes) {
  std::string text;
  Json listed = Json::array();
  for (const ErrorCode* code : codes) {
    text += (text.empty() ? "`" : "\n`") + std::string(code->name) + "`: " + std::string(code->sentence);
    listed.push_back(Json{{"code", code->name}, {"retry", code->retry}, {"text", code->sentence}});
  }
  Json out = Json::object();
  out["description"] = text;
  if (status == 429 || status == 503) {
    Json seconds = reference("Retry-After", "headers");
    out["headers"]["Retry-After"] = std::move(seconds);
  }
  out["headers"]["x-request-id"] = reference("x-request-id", "headers");
  out["content"]["application/json"]["schema"] = schema_at(style, status);
  out["x-codes"] = std::move(listed);
  return out;
}

}  // namespace

std::span<const ErrorCode> error_codes() {
  return kCodes;
}

std::span<const ErrorStyle> error_styles() {
  return kStyles;
}

const ErrorStyle& style_of(const Route& route) {
  if (route.action == Action::list_models || route.action == Action::one_model) return kStyles.back();
  const auto at = std::ranges::find(kStyles, route.error_form, &ErrorStyle::write);
  return at == kStyles.end() ? kStyles.front() : *at;  // /v1/responses renames fields, no more
}

std::vector<int> error_statuses(const Route& route) {
  std::set<int> own;
  const bool works = route.starts_work || route.action == Action::events;
  if (route.door != Door::open) own.insert({400, 401, 403, 429});
  if (route.path.find('{') != std::string_view::npos || !route.text.body.empty()) own.insert(404);
  if (works) own.insert({503, 504});
  for (const std::string_view status : words(route.text.statuses)) own.insert(std::stoi(std::string(status)));
  std::set<int> out(kOfConnections.begin(), kOfConnections.end());
  const ErrorStyle& style = style_of(route);
  for (const int status : own) out.insert(told(style, {{}, status, {}, {}}));
  return {out.begin(), out.end()};
}

Json error_answers(const ErrorStyle& style) {
  std::map<int, std::vector<const ErrorCode*>> codes;
  for (const ErrorCode& code : kCodes) {
    codes[told(style, code)].push_back(&code);
    if (is_of_connections(code.status) && told(style, code) != code.status)
      codes[code.status].push_back(&code);
  }
  Json out = Json::object();
  for (const auto& [status, listed] : codes)
    out[std::string(style.prefix) + std::to_string(status)] = answer(style, status, listed);
  return out;
}

}  // namespace troupe::gateway::openapi
