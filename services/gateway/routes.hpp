#pragma once
// Every route of the edge, once: what answers, who comes in, and what /openapi.json says of it.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "services/gateway/doors.hpp"
#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

/// What answers; several routes may have one.
enum class Action : std::uint8_t {
  chat,
  completions,
  create_response,
  count_input,
  stored_response,
  embeddings,
  rerank,
  score,
  list_models,
  one_model,
  tokenize,
  detokenize,
  messages,
  count_tokens,
  ollama_chat,
  ollama_generate,
  ollama_tags,
  ollama_running,
  ollama_show,
  ollama_version,
  ollama_embed,
  keep_or_batch,
  trace,
  events,
  healthz,
  readyz,
  metrics,
  openapi,
  docs,
  config,
  state,
  dashboard,
};

/// What is told of a route. Schemas are names in the document's components.
struct RouteText {
  std::string_view tag = {};
  std::string_view summary = {};
  std::string_view body = {};        ///< schema of the request's JSON; empty: it has none
  std::string_view answer = {};      ///< schema of the JSON answer; empty: the answer is no JSON
  std::string_view type = {};        ///< a content type that the answer may have instead of JSON
  std::string_view parameters = {};  ///< beyond those of the path: names in parameters.cpp, by blanks
  std::string_view statuses = {};    ///< of errors beyond those that its door and its kind of work have
  int success = 200;
};

struct Route {
  std::string_view method = {};
  /// A whole path. `{name}` stands for one part of it that is not empty, `{+name}` at the end for all the
  /// rest, which may be.
  std::string_view path = {};
  Action action = Action::healthz;
  std::string_view name = {};  ///< in metrics
  Door door = Door::inference;
  bool starts_work = false;  ///< counts as a request of its key, and is refused while draining
  ErrorForm error_form = to_response;
  RouteText text = {};
};

[[nodiscard]] std::span<const Route> routes();

struct RouteMatch {
  const Route* route = nullptr;  ///< null: this path does not take this method, or there is no such path
  std::string allowed;           ///< as in Allow: methods that the path takes; empty: there is no such path
};
/// `admin`: the request came to a port that has the admin routes too. A path that is spelled out in the table
/// goes before one that only fits a pattern.
[[nodiscard]] RouteMatch find_route(std::string_view method, std::string_view path, bool admin);

}  // namespace troupe::gateway
