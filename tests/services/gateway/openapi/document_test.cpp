// The document says what the tables say, all of it and nothing else.
#include "services/gateway/openapi/document.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <regex>
#include <set>
#include <string>

#include "services/gateway/anthropic/message_fields.hpp"
#include "services/gateway/batches/batch_request.hpp"
#include "services/gateway/batches/file_upload.hpp"
#include "services/gateway/generate_request.hpp"
#include "services/gateway/ollama/run_fields.hpp"
#include "services/gateway/openapi/errors.hpp"
#include "services/gateway/openapi/notes.hpp"
#include "services/gateway/openapi/parameters.hpp"
#include "services/gateway/openapi/shapes.hpp"
#include "services/gateway/responses/schema.hpp"
#include "services/gateway/routes.hpp"
#include "tests/house/source_tree.hpp"

namespace troupe::gateway::openapi {
namespace {

const Json& document() {
  static const Json kDocument = make_document(true);
  return kDocument;
}

std::string lower_case(std::string_view method) {
  std::string out;
  for (const char c : method) out += static_cast<char>(c - 'A' + 'a');
  return out;
}

TEST(OpenApiDocument, HasEveryRouteAndNoOther) {
  std::size_t told = 0;
  for (const auto& [path, methods] : document()["paths"].items()) told += methods.size();
  EXPECT_EQ(told, routes().size());
  for (const Route& route : routes()) {
    const Json& paths = document()["paths"];
    ASSERT_TRUE(paths.contains(path_template(route.path))) << route.path;
    const Json& methods = paths[path_template(route.path)];
    ASSERT_TRUE(methods.contains(lower_case(route.method))) << route.method << ' ' << route.path;
    const Json& operation = methods[lower_case(route.method)];
    EXPECT_EQ(operation["summary"].get<std::string>(), route.text.summary);
    EXPECT_FALSE(route.text.summary.empty()) << route.path;
    EXPECT_FALSE(route.text.tag.empty()) << route.path;
    EXPECT_FALSE(route.text.answer.empty() && route.text.type.empty()) << route.path;
    EXPECT_EQ(operation.contains("requestBody"), !route.text.body.empty()) << route.path;
  }
}

TEST(OpenApiDocument, OfAClientsPortHasNoAdminRoutes) {
  const Json clients = make_document(false);
  EXPECT_FALSE(clients["paths"].contains("/config"));
  EXPECT_FALSE(clients["paths"].contains("/"));
  EXPECT_TRUE(clients["paths"].contains("/v1/chat/completions"));
}

TEST(OpenApiDocument, NamesEachOperationOnce) {
  std::set<std::string> names;
  for (const auto& [path, methods] : document()["paths"].items())
    for (const auto& [method, operation] : methods.items())
      EXPECT_TRUE(names.insert(operation["operationId"].get<std::string>()).second) << method << ' ' << path;
}

struct Table {
  const char* name;
  std::span<const Field> (*rows)();
};
constexpr std::array kTables{Table{"openai", &gateway::fields},
                             Table{"responses", &responses::fields},
                             Table{"anthropic", &anthropic::message_fields},
                             Table{"ollama", &ollama::run_fields},
                             Table{"batches", &batch_fields},
                             Table{"upload", &upload_fields}};

const Shape* shape_of(std::span<const Field> (*table)(), Endpoints bit) {
  for (const Shape& shape : shapes())
    if (shape.table == table && shape.where == bit) return &shape;
  return nullptr;
}

void expect_row(const Json& property, const Field& field) {
  if (field.policy == Policy::only_default) {
    EXPECT_TRUE(property.contains("enum"));
    return;
  }
  if (field.minimum >= field.maximum) return;
  EXPECT_DOUBLE_EQ(property["minimum"].get<double>(), field.minimum);
  EXPECT_DOUBLE_EQ(property["maximum"].get<double>(), field.maximum);
}

TEST(OpenApiDocument, HasEveryRowOfEveryTableOfFields) {
  const Json& schemas = document()["components"]["schemas"];
  for (const Table& table : kTables) {
    for (const Field& field : table.rows()) {
      for (Endpoints bit = 1; bit != 0; bit <<= 1) {
        if ((field.where & bit) == 0) continue;
        const Shape* shape = shape_of(table.rows, bit);
        ASSERT_NE(shape, nullptr) << table.name << ": no shape for the objects that take " << field.name;
        const Json& properties = schemas[std::string(shape->name)]["properties"];
        SCOPED_TRACE(std::string(shape->name) + "." + std::string(field.name));
        ASSERT_TRUE(properties.contains(std::string(field.name)));
        expect_row(properties[std::string(field.name)], field);
      }
    }
  }
}

TEST(OpenApiDocument, HasNoFieldThatNoParserTakes) {
  for (const Shape& shape : shapes()) {
    const Json& properties = document()["components"]["schemas"][std::string(shape.name)]["properties"];
    EXPECT_EQ(properties.size(), fields_of(shape).size()) << shape.name;
    for (const std::string_view name : words(shape.required))
      EXPECT_TRUE(properties.contains(std::string(name))) << shape.name << " requires " << name;
  }
}

TEST(OpenApiDocument, DescribesEveryFieldThatIsReadAndHasNoNoteWithoutAField) {
  std::set<std::string_view> used;
  for (const Shape& shape : shapes()) {
    for (const Field* field : fields_of(shape)) {
      const Note note = note_of(shape.name, field->name);
      used.insert(note.field);
      if (field->policy == Policy::used) {
        EXPECT_FALSE(note.text.empty()) << shape.name << "." << field->name;
      }
    }
  }
  for (const Note& note : notes()) EXPECT_TRUE(used.contains(note.field)) << note.field;
}

TEST(OpenApiDocument, DefaultsHaveTheTypesOfTheirFields) {
  for (const Shape& shape : shapes()) {
    for (const auto& [name, property] :
         document()["components"]["schemas"][std::string(shape.name)]["properties"].items()) {
      if (!property.contains("default") || !property.contains("type") || property["type"].is_string())
        continue;
      const Json& value = property["default"];
      const std::string type = value.is_boolean()  ? "boolean"
                               : value.is_string() ? "string"
                               : value.is_array()  ? "array"
                                                   : "number";
      bool fits = false;
      for (const Json& each : property["type"])
        fits |= each == type || (type == "number" && each == "integer");
      EXPECT_TRUE(fits) << shape.name << "." << name;
    }
  }
}

// What a request is that names no default, and one that names them all.
TEST(OpenApiDocument, DefaultsOfAChatAreThoseThatTheParserHas) {
  Json body = {
      {"model", "m"}, {"messages", Json::array({{{"role", "user"}, {"content", "x"}}})}, {"seed", 1}};
  const auto plain = parse_chat(body.dump(), {});
  ASSERT_TRUE(plain);
  std::size_t named = 0;
  for (const auto& [name, property] :
       document()["components"]["schemas"]["ChatRequest"]["properties"].items()) {
    if (!property.contains("default")) continue;
    Json with = body;
    with[name] = property["default"];
    const auto told = parse_chat(with.dump(), {});
    ASSERT_TRUE(told) << name << ": " << told.error().message;
    SCOPED_TRACE(name);
    EXPECT_EQ(told->sampling, plain->sampling);
    EXPECT_EQ(told->rules, plain->rules);
    EXPECT_EQ(told->dry_breakers, plain->dry_breakers);
    EXPECT_EQ(told->choices, plain->choices);
    EXPECT_EQ(told->priority, plain->priority);
    EXPECT_EQ(told->stream, plain->stream);
    EXPECT_EQ(told->logprobs, plain->logprobs);
    EXPECT_EQ(told->ignore_eos, plain->ignore_eos);
    EXPECT_EQ(told->include_stop, plain->include_stop);
    EXPECT_EQ(told->show_special, plain->show_special);
    EXPECT_EQ(told->tools.parallel, plain->tools.parallel);
    EXPECT_EQ(told->input.add_generation_prompt, plain->input.add_generation_prompt);
    ++named;
  }
  EXPECT_GT(named, 25u);
}

TEST(OpenApiDocument, InnerShapesAreOfFieldsThatThereAre) {
  const Json& schemas = document()["components"]["schemas"];
  for (const Inner& inner : inner_shapes()) {
    ASSERT_TRUE(schemas.contains(std::string(inner.shape))) << inner.shape;
    EXPECT_TRUE(schemas[std::string(inner.shape)]["properties"].contains(std::string(inner.field)))
        << inner.shape << "." << inner.field;
  }
}

void follow(const Json& node, std::size_t& count) {
  if (node.is_object() && node.contains("$ref")) {
    const std::string target = node["$ref"].get<std::string>().substr(1);
    EXPECT_TRUE(document().contains(nlohmann::ordered_json::json_pointer(target))) << target;
    ++count;
  }
  if (!node.is_structured()) return;
  for (const auto& [key, value] : node.items()) follow(value, count);
}

TEST(OpenApiDocument, RefersOnlyToWhatItHas) {
  std::size_t count = 0;
  follow(document(), count);
  EXPECT_GT(count, 300u);
}

TEST(OpenApiDocument, KnowsEveryParameterThatARouteNamesAndNoOther) {
  std::set<std::string_view> named;
  for (const Route& route : routes()) {
    for (const std::string_view key : words(route.text.parameters)) named.insert(key);
    for (const auto& each : document()["paths"][path_template(route.path)][lower_case(route.method)].value(
             "parameters", Json::array())) {
      ASSERT_TRUE(each.contains("name")) << route.path;
      if (each["in"] == "path") named.insert(find_parameter(each["name"].get<std::string>())->key);
    }
  }
  for (const Parameter& parameter : parameters()) EXPECT_TRUE(named.contains(parameter.key)) << parameter.key;
  EXPECT_EQ(named.size(), parameters().size());
}

TEST(OpenApiDocument, TellsEveryErrorCodeAtItsStatus) {
  const Json& answers = document()["components"]["responses"];
  for (const ErrorCode& code : error_codes()) {
    const std::string name = "Error" + std::to_string(code.status);
    ASSERT_TRUE(answers.contains(name)) << code.name;
    bool told = false;
    for (const Json& each : answers[name]["x-codes"]) told |= each["code"].get<std::string>() == code.name;
    EXPECT_TRUE(told) << code.name;
  }
}

// Codes stand where they are refused with; the document has one list of them.
TEST(OpenApiDocument, KnowsEveryCodeThatTheSourcesRefuseWith) {
  const std::regex code("(?:refuse\\(|[({][0-9]{3}, )\"([a-z_]+)\"");
  std::set<std::string> found;
  for (const house::SourceFile& file : house::read_sources()) {
    if (!file.path.starts_with("services/gateway/") || file.path.find("/openapi/") != std::string::npos)
      continue;
    std::string text;
    for (const std::string& line : file.lines) text.append(line).push_back('\n');
    for (std::sregex_iterator at(text.begin(), text.end(), code), end; at != end; ++at)
      found.insert((*at)[1]);
  }
  EXPECT_GT(found.size(), 12u);
  for (const std::string& name : found)
    EXPECT_TRUE(std::ranges::any_of(error_codes(), [&](const ErrorCode& each) { return each.name == name; }))
        << name;
}

TEST(OpenApiDocument, TellsErrorsAsEachApiWritesThem) {
  const auto statuses = [](std::string_view path) {
    const Json& answers = document()["paths"][std::string(path)]["post"]["responses"];
    std::set<std::string> out;
    for (const auto& [status, answer] : answers.items()) out.insert(status);
    return out;
  };
  EXPECT_TRUE(statuses("/v1/messages").contains("529"));
  EXPECT_FALSE(statuses("/v1/chat/completions").contains("529"));
  EXPECT_TRUE(statuses("/v1/chat/completions").contains("422"))
      << "an idempotency key came with another request";
  EXPECT_FALSE(statuses("/v1/messages").contains("422"));
}

TEST(FindRoute, PrefersWhatIsSpelledOut) {
  EXPECT_EQ(find_route("POST", "/v1/responses/input_tokens", true).route->action, Action::count_input);
  const RouteMatch other = find_route("GET", "/v1/responses/input_tokens", true);
  EXPECT_EQ(other.route, nullptr);
  EXPECT_EQ(other.allowed, "POST, OPTIONS");
  EXPECT_EQ(find_route("GET", "/v1/responses/resp_1", true).route->action, Action::stored_response);
}

TEST(FindRoute, APartIsNotEmptyAndARestMayBe) {
  EXPECT_EQ(find_route("GET", "/v1/files/", true).route, nullptr);
  EXPECT_TRUE(find_route("GET", "/v1/files/a/b", true).allowed.empty());
  EXPECT_NE(find_route("GET", "/v1/files/a/content", true).route, nullptr);
  EXPECT_NE(find_route("GET", "/v1/models/a/b", true).route, nullptr);
  EXPECT_NE(find_route("GET", "/v1/models/", true).route, nullptr);
  EXPECT_TRUE(find_route("GET", "/v1/modelss", true).allowed.empty());
}

TEST(FindRoute, ListsWhatAPathTakes) {
  EXPECT_EQ(find_route("PUT", "/v1/files", true).allowed, "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(find_route("PUT", "/v1/files/x", true).allowed, "GET, HEAD, DELETE, OPTIONS");
  EXPECT_TRUE(find_route("GET", "/config", false).allowed.empty());
  EXPECT_EQ(find_route("GET", "/config", true).allowed, "GET, HEAD, OPTIONS");
}

}  // namespace
}  // namespace troupe::gateway::openapi
