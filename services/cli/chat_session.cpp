#include "services/cli/chat_session.hpp"

#include <nlohmann/json.hpp>

#include "common/http/sse.hpp"

namespace troupe::cli {
namespace {

using nlohmann::json;
constexpr std::size_t kLargestAnswer = 4U << 20;  // of an answer that is not streamed

json parse_quietly(std::string_view text) {
  return json::parse(text, nullptr, false);
}

/// A string member, "" when absent, null or of another type.
std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

/// What the server says in an OpenAI error object.
std::string error_message(const json& body, int status) {
  const std::string message =
      body.is_object() && body.contains("error") ? text_at(body["error"], "message") : std::string{};
  return std::string("the server answered ")
      .append(std::to_string(status))
      .append(message.empty() ? "" : ": ")
      .append(message);
}

Expected<json> read_json(HttpAnswer& answer) {
  const auto text = answer.read_all(kLargestAnswer);
  if (!text) return tl::unexpected<Error>(text.error());
  json body = parse_quietly(*text);
  if (answer.status() != 200) return fail(Errc::io_failed, error_message(body, answer.status()));
  if (body.is_discarded()) return fail(Errc::wire_malformed, "the answer is not JSON");
  return body;
}

}  // namespace

Expected<std::string> read_delta(std::string_view data, ChatAnswer& answer) {
  const json event = parse_quietly(data);
  if (!event.is_object()) return fail(Errc::wire_malformed, "an event of the stream is not a JSON object");
  if (event.contains("error")) return fail(Errc::io_failed, text_at(event["error"], "message"));
  std::string piece;
  const auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array()) return piece;
  for (const json& choice : *choices) {
    if (!choice.is_object()) continue;
    if (choice.contains("delta")) piece += text_at(choice["delta"], "content");
    if (const std::string reason = text_at(choice, "finish_reason"); !reason.empty())
      answer.finish_reason = reason;
  }
  answer.text += piece;
  return piece;
}

Expected<ChatSession> ChatSession::make(ChatSettings settings) {
  auto url = parse_any_url(settings.url);
  if (!url) return tl::unexpected<Error>(std::move(url.error()));
  auto trust = trust_for(*url, settings.authorities);
  if (!trust) return tl::unexpected<Error>(std::move(trust.error()));
  return ChatSession(std::move(settings), std::move(*url), std::move(*trust));
}

ChatSession::ChatSession(ChatSettings settings, Url url, std::shared_ptr<const TlsTrust> trust)
    : settings_(std::move(settings)), url_(std::move(url)), trust_(std::move(trust)) {
  reset();
}

void ChatSession::reset() {
  history_.clear();
  if (!settings_.system.empty()) history_.push_back({"system", settings_.system});
}

HttpRequest ChatSession::request(std::string method, std::string_view path) const {
  HttpRequest made;
  made.method = std::move(method);
  made.path = url_.path == "/" ? std::string(path) : url_.path + std::string(path);
  if (!settings_.api_key.empty()) made.headers.emplace_back("Authorization", "Bearer " + settings_.api_key);
  return made;
}

Expected<std::string> ChatSession::choose_model(int interrupt_fd) {
  if (!settings_.model.empty()) return settings_.model;
  auto answer = HttpAnswer::open(url_, request("GET", "/models"), interrupt_fd, {}, trust_);
  if (!answer) return tl::unexpected<Error>(answer.error());
  const auto body = read_json(*answer);
  if (!body) return tl::unexpected<Error>(body.error());
  if (body->is_object() && body->contains("data") && (*body)["data"].is_array() && !(*body)["data"].empty())
    settings_.model = text_at((*body)["data"][0], "id");
  if (settings_.model.empty()) return fail(Errc::model_not_found, "the server lists no model");
  return settings_.model;
}

std::string ChatSession::request_body() const {
  json body{{"model", settings_.model}, {"stream", true}, {"messages", json::array()}};
  for (const ChatMessage& message : history_)
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  if (settings_.max_tokens) body["max_tokens"] = *settings_.max_tokens;
  if (settings_.temperature) body["temperature"] = *settings_.temperature;
  if (settings_.seed) body["seed"] = *settings_.seed;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);  // a terminal may send anything
}

Expected<ChatAnswer> ChatSession::ask(const std::string& text, int interrupt_fd,
                                      const std::function<void(std::string_view)>& on_text) {
  const std::size_t before = history_.size();
  history_.push_back({"user", text});
  ChatAnswer answer;
  auto done = stream(interrupt_fd, on_text, answer);
  if (!done && done.error().code == Errc::cancelled) {
    answer.interrupted = true;
  } else if (!done) {
    history_.resize(before);
    return tl::unexpected<Error>(std::move(done.error()));
  }
  if (answer.text.empty() && answer.interrupted)
    history_.resize(before);  // a question nobody answered would make two user turns in a row
  else
    history_.push_back({"assistant", answer.text});
  return answer;
}

Expected<void> ChatSession::stream(int interrupt_fd, const std::function<void(std::string_view)>& on_text,
                                   ChatAnswer& answer) const {
  HttpRequest post = request("POST", "/chat/completions");
  post.headers.emplace_back("Content-Type", "application/json");
  post.headers.emplace_back("Accept", "text/event-stream");
  post.body = request_body();
  auto http = HttpAnswer::open(url_, post, interrupt_fd, {}, trust_);
  if (!http) return tl::unexpected<Error>(std::move(http.error()));
  if (http->status() != 200) {
    auto body = read_json(*http);
    return tl::unexpected<Error>(body ? Error{Errc::internal, "no error"} : std::move(body.error()));
  }
  SseParser events;
  for (;;) {
    const auto bytes = http->read_some();
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    if (!*bytes) return fail(Errc::peer_lost, "the stream ended without [DONE]");
    const auto complete = events.feed(**bytes);
    if (!complete) return tl::unexpected<Error>(complete.error());
    for (const std::string& data : *complete) {
      if (data == "[DONE]") return {};
      const auto piece = read_delta(data, answer);
      if (!piece) return tl::unexpected<Error>(piece.error());
      if (!piece->empty()) on_text(*piece);
    }
  }
}

}  // namespace troupe::cli
