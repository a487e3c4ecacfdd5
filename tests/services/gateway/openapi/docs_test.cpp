// An edge answers what its document says: routes, methods, statuses, fields and the form of its answers.
#include "services/gateway/openapi/docs.hpp"

#include <regex>
#include <set>

#include "tests/services/gateway/adapter_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// As much of JSON Schema as the document's answers use.
class Checker {
 public:
  explicit Checker(const json& document) : document_(document) {}

  [[nodiscard]] std::string wrong(const json& value, const json& schema, const std::string& at = "$") const {
    if (schema.contains("$ref"))
      return wrong(value, document_.at(json::json_pointer(schema["$ref"].get<std::string>().substr(1))), at);
    if (schema.contains("anyOf")) {
      for (const json& each : schema["anyOf"])
        if (wrong(value, each, at).empty()) return {};
      return at + " is none of what it may be";
    }
    if (schema.contains("const") && value != schema["const"]) return at + " is " + value.dump();
    if (schema.contains("enum") && !has(schema["enum"], value)) return at + " is " + value.dump();
    if (schema.contains("type") && !has_type(value, schema["type"]))
      return at + " has another type: " + value.dump();
    if (schema.contains("minimum") && value.is_number() && value < schema["minimum"])
      return at + " is too small";
    if (schema.contains("pattern") &&
        !std::regex_search(value.get<std::string>(), std::regex(schema["pattern"].get<std::string>())))
      return at + " does not match: " + value.dump();
    return value.is_object()  ? members(value, schema, at)
           : value.is_array() ? elements(value, schema, at)
                              : std::string();
  }

 private:
  static bool has(const json& list, const json& value) {
    for (const json& each : list)
      if (each == value) return true;
    return false;
  }
  static bool has_type(const json& value, const json& type) {
    if (type.is_array()) {
      for (const json& each : type)
        if (has_type(value, each)) return true;
      return false;
    }
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == value.type_name();
  }
  [[nodiscard]] std::string members(const json& value, const json& schema, const std::string& at) const {
    for (const json& name : schema.value("required", json::array()))
      if (!value.contains(name.get<std::string>())) return at + " has no " + name.dump();
    for (const auto& [name, each] : value.items()) {
      if (!schema.contains("properties") || !schema["properties"].contains(name)) continue;
      if (auto found = wrong(each, schema["properties"][name], at + "." + name); !found.empty()) return found;
    }
    return {};
  }
  [[nodiscard]] std::string elements(const json& value, const json& schema, const std::string& at) const {
    if (value.size() < schema.value("minItems", 0u)) return at + " is too short";
    if (!schema.contains("items")) return {};
    for (std::size_t i = 0; i < value.size(); ++i)
      if (auto found = wrong(value[i], schema["items"], at + "[" + std::to_string(i) + "]"); !found.empty())
        return found;
    return {};
  }

  const json& document_;
};

class Docs : public AdapterTest {
 protected:
  void SetUp() override {
    AdapterTest::SetUp();
    start();
    document_ = json::parse(call("GET", "/openapi.json").body);
  }
  Answer call(const std::string& method, const std::string& path, const std::string& body = {}) const {
    return HttpClient(port_of()).call(method, path, body);
  }
  std::uint16_t port_of() const { return edge_->port(); }
  /// A path that fits a template.
  static std::string filled(std::string path) {
    return std::regex_replace(path, std::regex("\\{[^}]*\\}"), "x");
  }

  /// Whether the answer is one that the document has for this operation.
  void expect_told(const std::string& method, const std::string& path, const Answer& answer) const {
    SCOPED_TRACE(method + " " + path + " answered " + std::to_string(answer.status) + ": " +
                 answer.body.substr(0, 300));
    std::string lower = method;
    for (char& c : lower) c = static_cast<char>(c - 'A' + 'a');
    const json& answers = document_["paths"][path][lower]["responses"];
    ASSERT_TRUE(answers.contains(std::to_string(answer.status)));
    json told = answers[std::to_string(answer.status)];
    if (told.contains("$ref"))
      told = document_.at(json::json_pointer(told["$ref"].get<std::string>().substr(1)));
    std::string type = answer.header("Content-Type");
    type = type.substr(0, type.find(';'));
    if (told["content"].contains("*/*")) return;
    ASSERT_TRUE(told["content"].contains(type)) << type;
    if (type != "application/json") return;
    EXPECT_EQ(Checker(document_).wrong(json::parse(answer.body), told["content"][type]["schema"]), "");
  }

  json document_;
};

/// Whole requests to each route that has a JSON body of required fields.
const std::vector<std::pair<std::string, json>>& samples() {
  static const json kMessages = json::array({{{"role", "user"}, {"content", "x"}}});
  static const std::vector<std::pair<std::string, json>> kSamples{
      {"/v1/chat/completions",
       {{"model", "small"}, {"messages", kMessages}, {"logprobs", true}, {"top_logprobs", 2}}},
      {"/v1/completions", {{"model", "small"}, {"prompt", "x"}, {"logprobs", 1}}},
      {"/v1/responses", {{"model", "small"}, {"input", "x"}}},
      {"/v1/responses/input_tokens", {{"model", "small"}, {"input", "x"}}},
      {"/tokenize", {{"model", "small"}, {"prompt", "x"}, {"return_token_strs", true}}},
      {"/detokenize", {{"model", "small"}, {"tokens", {72, 105}}}},
      {"/v1/messages", {{"model", "small"}, {"messages", kMessages}, {"max_tokens", 20}}},
      {"/v1/messages/count_tokens", {{"model", "small"}, {"messages", kMessages}}},
      {"/api/chat", {{"model", "small"}, {"messages", kMessages}, {"stream", false}}},
      {"/api/generate", {{"model", "small"}, {"prompt", "x"}, {"stream", false}}},
      {"/api/show", {{"model", "small"}}},
  };
  return kSamples;
}

TEST_F(Docs, EveryOperationAnswersWhatTheDocumentSays) {
  std::size_t tried = 0;
  for (const auto& [path, methods] : document_["paths"].items()) {
    if (path == "/events/cluster") continue;  // it has no end
    for (const auto& [method, operation] : methods.items()) {
      const std::string body = operation.contains("requestBody") ? "{}" : "";
      expect_told(upper(method), path, call(upper(method), filled(path), body));
      ++tried;
    }
  }
  EXPECT_GT(tried, 45u);
}

TEST_F(Docs, WholeAnswersHaveTheFormThatTheDocumentSays) {
  for (const auto& [path, body] : samples()) {
    const Answer answer = call("POST", path, body.dump());
    EXPECT_EQ(answer.status, 200) << path << ": " << answer.body;
    expect_told("POST", path, answer);
  }
  expect_told("GET", "/v1/models/{model}", call("GET", "/v1/models/small"));
}

TEST_F(Docs, OtherMethodsAreRefusedWithThoseThatTheDocumentHas) {
  for (const auto& [path, methods] : document_["paths"].items()) {
    for (const std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
      std::string lower = method;
      for (char& c : lower) c = static_cast<char>(c - 'A' + 'a');
      if (methods.contains(lower)) continue;
      const Answer answer = call(method, filled(path));
      EXPECT_EQ(answer.status, 405) << method << ' ' << path;
      for (const auto& [allowed, operation] : methods.items())
        EXPECT_NE(answer.header("Allow").find(upper(allowed)), std::string::npos) << path;
    }
    EXPECT_EQ(call("GET", filled(path) + "/nothing/at/all").status, 404) << path;
  }
}

TEST_F(Docs, WithoutAFieldThatIsRequiredARequestIsRefused) {
  for (const auto& [path, body] : samples()) {
    const json reference =
        document_["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
    const json schema = document_.at(json::json_pointer(reference["$ref"].get<std::string>().substr(1)));
    for (const json& name : schema.value("required", json::array())) {
      json without = body;
      ASSERT_EQ(without.erase(name.get<std::string>()), 1u) << path;
      const Answer answer = call("POST", path, without.dump());
      EXPECT_EQ(answer.status, 400) << path << " without " << name;
      EXPECT_NE(answer.body.find(name.get<std::string>() + " is required"), std::string::npos) << answer.body;
    }
  }
}

TEST_F(Docs, ThePageHasAllInItAndMayLoadNothing) {
  const Answer page = call("GET", "/docs");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.body.find("://"), std::string::npos) << "the page names something elsewhere";
  EXPECT_FALSE(std::regex_search(page.body, std::regex("<(script|link|img)[^>]* src=|rel=\"stylesheet\"")));
  EXPECT_NE(page.body.find("<script>"), std::string::npos);
  EXPECT_NE(page.body.find("<style>"), std::string::npos);
  const std::string policy = page.header("Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'sha256-")) << policy;
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
}

TEST_F(Docs, AreSentAgainOnlyWhenTheyChanged) {
  for (const char* path : {"/docs", "/openapi.json"}) {
    const std::string tag = call("GET", path).header("ETag");
    EXPECT_FALSE(tag.empty());
    EXPECT_EQ(HttpClient(port_of()).call("GET", path, "", "If-None-Match: " + tag + "\r\n").status, 304);
  }
}

TEST_F(Docs, OfAPortForClientsNameWhatThatPortAnswers) {
  edge_.reset();
  gateway::EdgeOptions options;
  options.admin.emplace();
  options.admin->port = 0;
  start(std::move(options));
  const json clients = json::parse(call("GET", "/openapi.json").body);
  EXPECT_FALSE(clients["paths"].contains("/state"));
  EXPECT_EQ(call("GET", "/state").status, 404);
  const json admin = json::parse(HttpClient(*edge_->admin_port()).call("GET", "/openapi.json").body);
  EXPECT_TRUE(admin["paths"].contains("/state"));
}

}  // namespace
}  // namespace troupe::test
