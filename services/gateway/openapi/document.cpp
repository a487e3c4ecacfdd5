#include "services/gateway/openapi/document.hpp"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "services/gateway/openapi/answers.hpp"
#include "services/gateway/openapi/errors.hpp"
#include "services/gateway/openapi/parameters.hpp"
#include "services/gateway/openapi/shapes.hpp"
#include "services/gateway/routes.hpp"

namespace troupe::gateway::openapi {
namespace {

constexpr std::string_view kUpload = "FileUpload";  ///< the one body that is no JSON

constexpr std::string_view kInfo = R"({
  "title": "Troupe",
  "version": "1",
  "summary": "Language models, served by a cluster.",
  "description": "OpenAI's API, with what vLLM's and llama.cpp's clients send beside it, Anthropic's Messages and Ollama's API. Every field may be null, which means absent. What is unknown is refused unless it is empty. Every path that takes GET takes HEAD, every path takes OPTIONS; another method is a 405 whose Allow lists those that are taken, another path a 404 (`not_found`)."
})";

constexpr std::string_view kSecurity = R"({
  "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the gateway has any."},
  "basic": {"type": "http", "scheme": "basic", "description": "The key as the password, as browsers ask for it."},
  "x_api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"}
})";

constexpr std::string_view kHeaders = R"({
  "x-request-id": {"description": "Names the request in logs, traces and events.", "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
  "Retry-After": {"description": "Seconds after which it may be tried again; absent where waiting does not help.", "schema": {"type": "integer", "minimum": 1}}
})";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// "post_v1_files_file_id"
std::string operation_id(const Route& route) {
  std::string out = lower(route.method);
  bool apart = true;
  for (const char c : route.path) {
    const bool stays = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (stays && std::exchange(apart, false)) out += '_';
    if (stays) out += c;
    if (!stays) apart = true;
  }
  return out;
}

std::vector<std::string_view> path_parameters(std::string_view path) {
  std::vector<std::string_view> out;
  for (auto at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1)) {
    std::string_view name = path.substr(at + 1, path.find('}', at) - at - 1);
    if (name.starts_with('+')) name.remove_prefix(1);
    out.push_back(name);
  }
  return out;
}

Json parameter(std::string_view key) {
  const Parameter* found = find_parameter(key);
  if (found == nullptr) return Json::object();  // a test looks for it
  Json out = Json::object();
  out["name"] = found->name;
  out["in"] = found->in;
  if (found->in == "path") out["required"] = true;
  out["description"] = found->text;
  out["schema"] = Json::parse(found->schema);
  return out;
}

Json parameters_of(const Route& route) {
  Json out = Json::array();
  for (const std::string_view name : path_parameters(route.path)) out.push_back(parameter(name));
  for (const std::string_view key : words(route.text.parameters)) out.push_back(parameter(key));
  return out;
}

Json body_of(const Route& route) {
  Json out = Json::object();
  out["required"] = true;
  const std::string type = route.text.body == kUpload ? "multipart/form-data" : "application/json";
  out["content"][type]["schema"] = reference(route.text.body);
  return out;
}

Json answer_of(const Route& route) {
  Json out = Json::object();
  out["description"] = "Done.";
  out["headers"]["x-request-id"] = reference("x-request-id", "headers");
  if (!route.text.answer.empty()) out["content"]["application/json"]["schema"] = reference(route.text.answer);
  for (const std::string_view type : words(route.text.type))
    out["content"][std::string(type)]["schema"] = Json{{"type", "string"}};
  return out;
}

Json answers_of(const Route& route) {
  Json out = Json::object();
  out[std::to_string(route.text.success)] = answer_of(route);
  const std::string prefix(style_of(route).prefix);
  for (const int status : error_statuses(route))
    out[std::to_string(status)] = reference(prefix + std::to_string(status), "responses");
  return out;
}

Json security_of(const Route& route) {
  Json out = Json::array();
  if (route.door == Door::open) return out;
  out.push_back(Json::object());  // where the gateway has no keys
  for (const char* name : {"bearer", "basic", "x_api_key"}) {
    Json scheme = Json::object();
    scheme[name] = Json::array();
    out.push_back(std::move(scheme));
  }
  return out;
}

Json operation(const Route& route) {
  Json out = Json::object();
  out["operationId"] = operation_id(route);
  out["tags"] = Json::array();
  out["tags"].push_back(route.text.tag);
  out["summary"] = route.text.summary;
  if (Json list = parameters_of(route); !list.empty()) out["parameters"] = std::move(list);
  if (!route.text.body.empty()) out["requestBody"] = body_of(route);
  out["responses"] = answers_of(route);
  out["security"] = security_of(route);
  return out;
}

Json components() {
  Json out = Json::object();
  Json& schemas = out["schemas"] = Json::object();
  for (const Shape& shape : shapes()) schemas[std::string(shape.name)] = schema_of(shape);
  schemas.update(answer_schemas());
  Json& answers = out["responses"] = Json::object();
  for (const ErrorStyle& style : error_styles()) answers.update(error_answers(style));
  out["headers"] = Json::parse(kHeaders);
  out["securitySchemes"] = Json::parse(kSecurity);
  return out;
}

}  // namespace

std::string path_template(std::string_view path) {
  std::string out(path);
  std::erase(out, '+');
  return out;
}

Json make_document(bool admin) {
  Json out = Json::object();
  out["openapi"] = "3.1.0";
  out["info"] = Json::parse(kInfo);
  out["servers"] = Json::array();
  out["servers"].push_back(Json{{"url", "/"}});
  Json paths = Json::object(), tags = Json::array();
  std::vector<std::string_view> tagged;
  for (const Route& route : routes()) {
    if (route.door == Door::admin && !admin) continue;
    paths[path_template(route.path)][lower(route.method)] = operation(route);
    if (std::ranges::find(tagged, route.text.tag) != tagged.end()) continue;
    tagged.push_back(route.text.tag);
    tags.push_back(Json{{"name", route.text.tag}});
  }
  out["tags"] = std::move(tags);
  out["paths"] = std::move(paths);
  out["components"] = components();
  return out;
}

}  // namespace troupe::gateway::openapi
