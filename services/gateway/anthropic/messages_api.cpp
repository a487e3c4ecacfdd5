#include "services/gateway/anthropic/messages_api.hpp"

#include <chrono>
#include <utility>

#include "services/gateway/anthropic/message_errors.hpp"
#include "services/gateway/anthropic/message_request.hpp"
#include "services/gateway/anthropic/message_writer.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/prepare.hpp"
#include "services/gateway/time_text.hpp"

namespace troupe::gateway::anthropic {
namespace {

void append_model(std::string& out, const ApiHost::Found& found) {
  const auto& [text, served] = found;
  const std::chrono::system_clock::time_point made{std::chrono::seconds(text->file.modified)};
  out += "{\"type\":\"model\",\"id\":";
  append_quoted(out, served.name);
  out += ",\"display_name\":";
  append_quoted(out, served.name);
  out += ",\"created_at\":\"" + rfc3339(made) + "\",\"lifecycle\":\"active\",\"max_input_tokens\":";
  append_number(out, served.context_length);
  out += ",\"max_tokens\":";
  append_number(out, served.context_length);
  out += '}';
}

void append_edge(std::string& out, std::string_view key, const ServedModel* model) {
  out.append(",\"").append(key).append("\":");
  if (model == nullptr) {
    out += "null";
  } else {
    append_quoted(out, model->name);
  }
}

}  // namespace

bool is_from_client(const Request& request) {
  return !request.header("anthropic-version").empty();
}

void MessagesApi::messages(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) {
    auto parsed = parse_message(c.request.body, limits_);
    if (!parsed) return c.reply(parsed.error());
    const WriterOptions options{parsed->shows_thinking, parsed->one_call};
    const auto make = [options](AnswerHead head) { return message_writer(options, std::move(head)); };
    host_.generate(c, std::move(parsed->request), {make});
  });
}

void MessagesApi::count_tokens(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) {
    auto request = parse_count(c.request.body, limits_);
    if (!request) return c.reply(request.error());
    const auto found = host_.find_model(request->model, false, c.visit->caller());
    if (!found) return c.reply(found.error());
    const auto tokens = chat_tokens(std::move(request->input), *found->first);
    if (!tokens) return c.reply(tokens.error());
    c.reply_json("{\"input_tokens\":" + std::to_string(tokens->size()) + "}");
  });
}

// All of them: a page is as long as it has to be.
void MessagesApi::list_models(Call call) const {
  const auto models = host_.models(call.visit->caller());
  std::string out = "{\"data\":[";
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i != 0) out += ',';
    append_model(out, models[i]);
  }
  out += "],\"has_more\":false";
  append_edge(out, "first_id", models.empty() ? nullptr : &models.front().second);
  append_edge(out, "last_id", models.empty() ? nullptr : &models.back().second);
  call.reply_json(out + "}");
}

void MessagesApi::one_model(Call call, const std::string& name) const {
  for (const ApiHost::Found& found : host_.models(call.visit->caller())) {
    if (found.second.name != name) continue;
    std::string out;
    append_model(out, found);
    return call.reply_json(std::move(out));
  }
  call.error_form = error_response;
  call.reply(to_api(Error{Errc::model_not_found, "there is no model '" + name + "'"}));
}

}  // namespace troupe::gateway::anthropic
