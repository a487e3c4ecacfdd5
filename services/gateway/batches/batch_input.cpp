#include "services/gateway/batches/batch_input.hpp"

#include <utility>

#include "services/gateway/json_reader.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

auto wrong(std::string code, std::string param, std::string message) {
  return tl::unexpected<BatchError>(BatchError{std::move(code), std::move(message), std::move(param), 0});
}

const Json* member(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

auto missing(const std::string& param) {
  return wrong("missing_required_parameter", param, "Missing required parameter: '" + param + "'.");
}

/// A field that must be a string. Errors: missing_required_parameter, invalid_value.
tl::expected<std::string, BatchError> text_of(const Json& object, const std::string& key) {
  const Json* value = member(object, key);
  if (value == nullptr) return missing(key);
  if (!value->is_string())
    return wrong("invalid_value", key,
                 "Invalid type for '" + key + "': expected a string, found " + describe(*value) + ".");
  return value->get<std::string>();
}

void append_head(std::string& out, const RequestId& id, std::string_view custom_id) {
  out += "{\"id\":\"batch_req_" + to_hex(id) + "\",\"custom_id\":";
  append_quoted(out, custom_id);
}

std::int64_t number_in(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::int64_t detail_in(const Json& usage, std::string_view details, std::string_view key) {
  const Json* object = member(usage, details);
  return object != nullptr && object->is_object() ? number_in(*object, key) : 0;
}

}  // namespace

tl::expected<InputLine, BatchError> read_input_line(std::string_view text, std::string_view endpoint) {
  const auto object = read_json(text);
  if (!object || !object->is_object())
    return wrong("invalid_json_line", "", "This line is not parseable as valid JSON.");
  InputLine line;
  auto custom_id = text_of(*object, "custom_id");
  if (!custom_id) return tl::unexpected<BatchError>(std::move(custom_id.error()));
  if (custom_id->empty() || custom_id->size() > kLongestCustomId)
    return wrong("invalid_value", "custom_id", "Invalid 'custom_id': expected 1 to 512 bytes.");
  line.custom_id = std::move(*custom_id);
  const auto method = text_of(*object, "method");
  if (!method) return tl::unexpected<BatchError>(method.error());
  if (*method != "POST")
    return wrong("invalid_value", "method", "Invalid value for 'method': expected 'POST'.");
  const auto url = text_of(*object, "url");
  if (!url) return tl::unexpected<BatchError>(url.error());
  if (*url != endpoint)
    return wrong("url_mismatch", "url",
                 "The URL provided for this request does not match the batch endpoint.");
  const Json* body = member(*object, "body");
  if (body == nullptr) return missing("body");
  if (!body->is_object())
    return wrong("invalid_value", "body",
                 "Invalid type for 'body': expected an object, found " + describe(*body) + ".");
  auto model = text_of(*body, "model");
  if (!model) return missing("body.model");
  line.model = std::move(*model);
  line.body = body->dump();
  return line;
}

tl::expected<InputLine, BatchError> InputCheck::read(std::string_view text) {
  if (++lines_ > most_lines_)
    return wrong("too_many_tasks", "",
                 "The input file has over " + std::to_string(most_lines_) +
                     " requests, the most that a batch may have.");
  auto line = read_input_line(text, endpoint_);
  if (!line) return line;
  if (model_.empty()) model_ = line->model;
  if (line->model != model_)
    return wrong("model_mismatch", "body.model",
                 "The model '" + line->model + "' differs from '" + model_ +
                     "' of an earlier request: all requests of a batch must have the same model.");
  return line;
}

BatchError duplicate_custom_id(const std::string& custom_id) {
  return {"duplicate_custom_id",
          "The custom_id '" + custom_id +
              "' for this request is a duplicate of another request. The custom_id parameter must be unique "
              "for each "
              "request in a batch.",
          "custom_id", 0};
}

BatchError empty_input() {
  return {"empty_file", "The input file is empty. It must have at least one request.", "", 0};
}

std::string output_line(const RequestId& request, std::string_view custom_id, int status,
                        std::string_view body) {
  std::string out;
  out.reserve(body.size() + custom_id.size() + 192);
  append_head(out, request, custom_id);
  out += ",\"response\":{\"status_code\":" + std::to_string(status) + ",\"request_id\":\"" + to_hex(request) +
         "\",\"body\":";
  out += body.empty() ? std::string_view("null") : body;
  return out + "},\"error\":null}\n";
}

std::string unasked_line(const RequestId& id, std::string_view custom_id) {
  std::string out;
  append_head(out, id, custom_id);
  return out +
         ",\"response\":null,\"error\":{\"code\":\"batch_expired\",\"message\":\"This request could not be "
         "executed "
         "before the completion window expired.\"}}\n";
}

BatchUsage usage_in(std::string_view body) {
  const Json answer = Json::parse(body, nullptr, false);
  if (!answer.is_object()) return {};
  const Json* usage = member(answer, "usage");
  if (usage == nullptr || !usage->is_object()) return {};
  return {number_in(*usage, "prompt_tokens"), detail_in(*usage, "prompt_tokens_details", "cached_tokens"),
          number_in(*usage, "completion_tokens"),
          detail_in(*usage, "completion_tokens_details", "reasoning_tokens")};
}

}  // namespace troupe::gateway
