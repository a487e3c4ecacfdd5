#include "services/bench/record.hpp"

#include <nlohmann/json.hpp>

namespace troupe::load {
namespace {

using nlohmann::json;

std::uint64_t count_at(const json& object, const char* key) {
  if (!object.is_object()) return 0;
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool has_text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() && !found->get_ref<const std::string&>().empty();
}

/// Text, reasoning or a tool call: what a user would see come.
bool carries_text(const json& choice) {
  if (!choice.is_object()) return false;
  if (has_text(choice, "text")) return true;
  const auto delta = choice.find("delta");
  if (delta == choice.end() || !delta->is_object()) return false;
  return has_text(*delta, "content") || has_text(*delta, "reasoning_content") ||
         delta->contains("tool_calls");
}

void read_usage(const json& usage, Record& record) {
  record.usage_seen = true;
  record.prompt_tokens = count_at(usage, "prompt_tokens");
  record.output_tokens = count_at(usage, "completion_tokens");
  const auto details = usage.find("prompt_tokens_details");
  if (details != usage.end()) record.cached_tokens = count_at(*details, "cached_tokens");
}

}  // namespace

std::optional<Duration> Record::first_token() const {
  if (token_times.empty()) return std::nullopt;
  return token_times.front() - due;
}

std::vector<Duration> Record::gaps() const {
  std::vector<Duration> out;
  for (std::size_t i = 1; i < token_times.size(); ++i) out.push_back(token_times[i] - token_times[i - 1]);
  return out;
}

bool read_event(std::string_view data, Duration at, Record& record) {
  if (data == "[DONE]") return true;
  const json event = json::parse(data, nullptr, false);
  if (!event.is_object()) return false;
  if (event.contains("error")) {
    record.error = "error_event";
    return true;
  }
  const auto choices = event.find("choices");
  if (choices != event.end() && choices->is_array())
    for (const json& choice : *choices)
      if (carries_text(choice)) {
        record.token_times.push_back(at);
        break;
      }
  const auto usage = event.find("usage");
  if (usage != event.end() && usage->is_object()) read_usage(*usage, record);
  return true;
}

void read_end(const StreamEnd& end, Duration at, Record& record) {
  record.ended = at;
  if (!record.usage_seen) record.output_tokens = record.token_times.size();
  if (end.error) {
    record.error = std::string(name(end.error->code));
  } else if (end.status != 200) {
    record.error = "http_" + std::to_string(end.status);
  } else if (record.error.empty() && record.token_times.empty() && !record.usage_seen) {
    record.error = "no_stream";  // a 200 that carried none of the API's events
  }
}

HttpRequest make_http_request(const Url& url, const RequestSettings& settings, const PlannedRequest& planned,
                              std::uint64_t seed) {
  json body = planned.extra.empty() ? json::object() : json::parse(planned.extra, nullptr, false);
  if (!body.is_object()) body = json::object();
  body["model"] = settings.model;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  body["max_tokens"] = planned.max_tokens;
  if (!body.contains("seed")) body["seed"] = seed & 0x7fffffffU;
  if (settings.temperature) body["temperature"] = *settings.temperature;
  if (settings.ignore_eos) body["ignore_eos"] = true;
  if (settings.completions) {
    std::string prompt;
    for (const Message& message : planned.messages) prompt += (prompt.empty() ? "" : "\n") + message.content;
    body["prompt"] = std::move(prompt);
  } else {
    body["messages"] = json::array();
    for (const Message& message : planned.messages)
      body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  HttpRequest request;
  request.method = "POST";
  request.path = path_below(url, settings.completions ? "/completions" : "/chat/completions");
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}};
  if (!settings.api_key.empty()) request.headers.emplace_back("Authorization", "Bearer " + settings.api_key);
  request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  return request;
}

}  // namespace troupe::load
