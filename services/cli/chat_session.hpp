#pragma once
// A conversation with an OpenAI endpoint: history, requests, streamed answers. No terminal in here.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/client.hpp"

namespace troupe::cli {

struct ChatSettings {
  std::string url = "http://127.0.0.1:8080/v1";
  std::string authorities;  ///< PEM file, of an https URL; empty: the system's
  std::string model;    ///< empty: the endpoint's first
  std::string system;   ///< empty: none
  std::string api_key;  ///< empty: none
  std::optional<std::int64_t> max_tokens;
  std::optional<double> temperature;
  std::optional<std::int64_t> seed;
};

struct ChatMessage {
  std::string role;
  std::string content;
};

/// How an answer ended.
struct ChatAnswer {
  std::string text;
  std::string finish_reason;  ///< "stop", "length", ...; "" when interrupted
  bool interrupted = false;
};

class ChatSession {
 public:
  /// Errors: invalid_argument for the URL, TlsTrust::load's.
  [[nodiscard]] static Expected<ChatSession> make(ChatSettings settings);

  /// Settles the model's name (GET /models) unless one was given. Errors: those of HttpAnswer,
  /// model_not_found, and what the server says.
  [[nodiscard]] Expected<std::string> choose_model(int interrupt_fd);

  /// Sends the history and `text`, calls `on_text` with each piece of the answer. An interrupt closes the
  /// stream and keeps what came; on an error the history is as before. Errors: as above.
  [[nodiscard]] Expected<ChatAnswer> ask(const std::string& text, int interrupt_fd,
                                         const std::function<void(std::string_view)>& on_text);

  void reset();  ///< forgets all but the system message
  [[nodiscard]] const std::vector<ChatMessage>& history() const { return history_; }
  [[nodiscard]] const std::string& model() const { return settings_.model; }

  /// The body of a request with the present history.
  [[nodiscard]] std::string request_body() const;

 private:
  ChatSession(ChatSettings settings, Url url, std::shared_ptr<const TlsTrust> trust);
  [[nodiscard]] HttpRequest request(std::string method, std::string_view path) const;
  [[nodiscard]] Expected<void> stream(int interrupt_fd, const std::function<void(std::string_view)>& on_text,
                                      ChatAnswer& answer) const;

  ChatSettings settings_;
  Url url_;
  std::shared_ptr<const TlsTrust> trust_;  // shared with answers being read
  std::vector<ChatMessage> history_;
};

/// One event's data: appends its text and finish reason. Errors: wire_malformed, or the error object's
/// message as io_failed.
[[nodiscard]] Expected<std::string> read_delta(std::string_view data, ChatAnswer& answer);

}  // namespace troupe::cli
