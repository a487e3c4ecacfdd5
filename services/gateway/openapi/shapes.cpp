#include "services/gateway/openapi/shapes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "services/gateway/anthropic/message_fields.hpp"
#include "services/gateway/batches/batch_request.hpp"
#include "services/gateway/batches/file_upload.hpp"
#include "services/gateway/ollama/run_fields.hpp"
#include "services/gateway/openapi/notes.hpp"
#include "services/gateway/responses/schema.hpp"

namespace troupe::gateway::openapi {
namespace {

constexpr auto kIgnored = UnknownKeys::ignored;
constexpr auto kRefused = UnknownKeys::refused;
constexpr auto own = &gateway::fields;
constexpr auto response = &responses::fields;
constexpr auto message = &anthropic::message_fields;
constexpr auto run = &ollama::run_fields;

constexpr std::array kShapes{
    Shape{"ChatRequest", own, kChat, "model messages"},
    Shape{"CompletionRequest", own, kCompletions, "model prompt"},
    Shape{"TokenizeRequest", own, kTokenize, "model"},
    Shape{"DetokenizeRequest", own, kDetokenize, "model tokens"},
    Shape{"ChatMessage", own, kMessage, "role"},
    Shape{"StreamOptions", own, kStreamOptions},
    Shape{"TroupeOptions", own, kTroupe},
    Shape{"SpeculationOptions", own, kSpeculation},
    Shape{"BeamOptions", own, kBeam, "width"},
    Shape{"SuperposedOptions", own, kSuperposed},
    Shape{"ResponseFormat", own, kResponseFormat, "type"},
    Shape{"JsonSchemaFormat", own, kJsonSchema},
    Shape{"StructuredOutputs", own, kStructured},
    Shape{"Prediction", own, kPrediction, "type content"},
    Shape{"Tool", own, kTool, "type function"},
    Shape{"FunctionDefinition", own, kFunction, "name"},
    Shape{"NamedToolChoice", own, kToolChoice, "type function"},
    Shape{"NamedFunction", own, kNamedFunction, "name"},
    Shape{"ToolCall", own, kToolCall, "id function"},
    Shape{"CalledFunction", own, kCalledFunction, "name arguments"},
    Shape{"EmbeddingRequest", own, kEmbeddings, "model input"},
    Shape{"RerankRequest", own, kRerank, "model query documents"},
    Shape{"ScoreRequest", own, kScore, "model text_1 text_2"},
    Shape{"VectorOptions", own, kTroupeVectors},

    Shape{"ResponseRequest", response, responses::kResponse, "model", kRefused, &responses::is_chat_field},
    Shape{"ResponseText", response, responses::kText},
    Shape{"ResponseTextFormat", response, responses::kTextFormat, "type"},
    Shape{"ResponseTool", response, responses::kTool, "type name"},
    Shape{"ResponseToolChoice", response, responses::kToolChoice, "type"},
    Shape{"ReasoningOptions", response, responses::kReasoning},
    Shape{"ResponseStreamOptions", response, responses::kStreamOptions},
    Shape{"InputMessage", response, responses::kMessage, "role content"},
    Shape{"InputText", response, responses::kTextPart, "type"},
    Shape{"InputCall", response, responses::kCall, "type call_id name arguments"},
    Shape{"InputCallOutput", response, responses::kCallOutput, "type call_id output"},
    Shape{"InputReasoning", response, responses::kReasoningItem, "type"},
    Shape{"ItemReference", response, responses::kReference, "id"},

    Shape{"MessagesRequest", message, anthropic::kMessages, "model messages max_tokens"},
    Shape{"CountTokensRequest", message, anthropic::kCountTokens, "model messages"},
    Shape{"MessageParam", message, anthropic::kMessage, "role content"},
    Shape{"TextBlock", message, anthropic::kTextBlock, "type text"},
    Shape{"ToolUseBlock", message, anthropic::kToolUse, "type id name input"},
    Shape{"ToolResultBlock", message, anthropic::kToolResult, "type tool_use_id"},
    Shape{"MessageTool", message, anthropic::kTool, "name input_schema"},
    Shape{"MessageToolChoice", message, anthropic::kToolChoice, "type"},
    Shape{"ThinkingOptions", message, anthropic::kThinking, "type"},
    Shape{"OutputOptions", message, anthropic::kOutput},
    Shape{"OutputFormat", message, anthropic::kFormat, "type schema"},
    Shape{"MessageMetadata", message, anthropic::kMetadata},

    Shape{"ChatRun", run, ollama::kChatRun, "model", kIgnored},
    Shape{"GenerateRun", run, ollama::kGenerateRun, "model", kIgnored},
    Shape{"RunOptions", run, ollama::kOptions, {}, kIgnored},
    Shape{"RunMessage", run, ollama::kRunMessage, "role", kIgnored},
    Shape{"RunCall", run, ollama::kRunCall, "function", kIgnored},
    Shape{"RunFunction", run, ollama::kRunFunction, "name", kIgnored},
    Shape{"ShowRequest", run, ollama::kNamed, {}, kIgnored},

    Shape{"BatchRequest", &batch_fields, kBatch, "input_file_id endpoint completion_window"},
    Shape{"ExpiresAfter", &batch_fields, kExpiry, "anchor seconds"},
    Shape{"FileUpload", &upload_fields, kUpload, "file purpose"},
};

constexpr std::array kInner{
    Inner{"ChatRequest", "messages", {}, "ChatMessage"},
    Inner{"ChatRequest", "tools", {}, "Tool"},
    Inner{"ChatRequest", "tool_choice", "NamedToolChoice"},
    Inner{"ChatRequest", "stream_options", "StreamOptions"},
    Inner{"ChatRequest", "response_format", "ResponseFormat"},
    Inner{"ChatRequest", "structured_outputs", "StructuredOutputs"},
    Inner{"ChatRequest", "prediction", "Prediction"},
    Inner{"ChatRequest", "troupe", "TroupeOptions"},
    Inner{"CompletionRequest", "stream_options", "StreamOptions"},
    Inner{"CompletionRequest", "response_format", "ResponseFormat"},
    Inner{"CompletionRequest", "structured_outputs", "StructuredOutputs"},
    Inner{"CompletionRequest", "troupe", "TroupeOptions"},
    Inner{"TokenizeRequest", "messages", {}, "ChatMessage"},
    Inner{"TokenizeRequest", "tools", {}, "Tool"},
    Inner{"ChatMessage", "tool_calls", {}, "ToolCall"},
    Inner{"TroupeOptions", "speculation", "SpeculationOptions"},
    Inner{"TroupeOptions", "beam", "BeamOptions"},
    Inner{"TroupeOptions", "superposed", "SuperposedOptions"},
    Inner{"ResponseFormat", "json_schema", "JsonSchemaFormat"},
    Inner{"Tool", "function", "FunctionDefinition"},
    Inner{"NamedToolChoice", "function", "NamedFunction"},
    Inner{"ToolCall", "function", "CalledFunction"},
    Inner{"EmbeddingRequest", "troupe", "VectorOptions"},
    Inner{"RerankRequest", "troupe", "VectorOptions"},
    Inner{"ScoreRequest", "troupe", "VectorOptions"},

    Inner{"ResponseRequest",
          "input",
          {},
          "InputMessage|InputCall|InputCallOutput|InputReasoning|ItemReference"},
    Inner{"ResponseRequest", "text", "ResponseText"},
    Inner{"ResponseRequest", "reasoning", "ReasoningOptions"},
    Inner{"ResponseRequest", "tools", {}, "ResponseTool"},
    Inner{"ResponseRequest", "tool_choice", "ResponseToolChoice"},
    Inner{"ResponseRequest", "stream_options", "ResponseStreamOptions"},
    Inner{"ResponseRequest", "structured_outputs", "StructuredOutputs"},
    Inner{"ResponseRequest", "troupe", "TroupeOptions"},
    Inner{"ResponseText", "format", "ResponseTextFormat"},
    Inner{"InputMessage", "content", {}, "InputText"},
    Inner{"InputCallOutput", "output", {}, "InputText"},

    Inner{"MessagesRequest", "messages", {}, "MessageParam"},
    Inner{"MessagesRequest", "system", {}, "TextBlock"},
    Inner{"MessagesRequest", "tools", {}, "MessageTool"},
    Inner{"MessagesRequest", "tool_choice", "MessageToolChoice"},
    Inner{"MessagesRequest", "thinking", "ThinkingOptions"},
    Inner{"MessagesRequest", "output_config", "OutputOptions"},
    Inner{"MessagesRequest", "output_format", "OutputFormat"},
    Inner{"MessagesRequest", "metadata", "MessageMetadata"},
    Inner{"CountTokensRequest", "messages", {}, "MessageParam"},
    Inner{"CountTokensRequest", "system", {}, "TextBlock"},
    Inner{"CountTokensRequest", "tools", {}, "MessageTool"},
    Inner{"CountTokensRequest", "tool_choice", "MessageToolChoice"},
    Inner{"CountTokensRequest", "thinking", "ThinkingOptions"},
    Inner{"CountTokensRequest", "output_config", "OutputOptions"},
    Inner{"CountTokensRequest", "output_format", "OutputFormat"},
    Inner{"MessageParam", "content", {}, "TextBlock|ToolUseBlock|ToolResultBlock|ThinkingBlock"},
    Inner{"ToolResultBlock", "content", {}, "TextBlock"},
    Inner{"OutputOptions", "format", "OutputFormat"},

    Inner{"ChatRun", "messages", {}, "RunMessage"},
    Inner{"ChatRun", "options", "RunOptions"},
    Inner{"GenerateRun", "options", "RunOptions"},
    Inner{"RunMessage", "tool_calls", {}, "RunCall"},
    Inner{"RunCall", "function", "RunFunction"},

    Inner{"BatchRequest", "output_expires_after", "ExpiresAfter"},
};

constexpr std::array<std::string_view, 6> kTypeNames{"boolean", "integer", "number",
                                                     "string",  "object",  "array"};

Json types_of(JsonTypes types) {
  Json out = Json::array();
  for (std::size_t bit = 0; bit < kTypeNames.size(); ++bit)
    if ((types & (1u << bit)) != 0) out.push_back(kTypeNames[bit]);
  out.push_back("null");
  return out;
}

/// Bounds of 64-bit integers are no doubles.
Json bound(double value) {
  if (value >= 9223372036854775807.0) return std::numeric_limits<std::int64_t>::max();
  if (value == std::floor(value)) return static_cast<std::int64_t>(value);
  return value;
}

Json list_of(std::string_view shapes) {
  const auto names = words(shapes, '|');
  if (names.size() == 1) return reference(names.front());
  Json any = Json::array();
  for (const std::string_view name : names) any.push_back(reference(name));
  return Json{{"anyOf", std::move(any)}};
}

/// Any value but these is refused: absent, empty, or what is the default anyhow.
Json only_neutral(const Field& field) {
  Json values = Json::array();
  values.push_back(nullptr);
  for (const std::string_view text : words(field.neutral, '|')) values.push_back(Json::parse(text));
  if ((field.types & kString) != 0) values.push_back("");
  if ((field.types & kArray) != 0) values.push_back(Json::array());
  if ((field.types & kObject) != 0) values.push_back(Json::object());
  return Json{{"enum", std::move(values)}};
}

Json typed(const Field& field, const Inner* inner) {
  if (inner != nullptr && !inner->object.empty()) {
    Json any = Json::array();
    any.push_back(list_of(inner->object));
    any.push_back(Json{{"type", types_of(static_cast<JsonTypes>(field.types & ~kObject))}});
    return Json{{"anyOf", std::move(any)}};
  }
  Json out = Json::object();
  out["type"] = types_of(field.types);
  if (inner != nullptr) out["items"] = list_of(inner->items);
  if (field.minimum < field.maximum) {
    out["minimum"] = bound(field.minimum);
    out["maximum"] = bound(field.maximum);
  }
  return out;
}

const Inner* inner_of(const Shape& shape, std::string_view field) {
  const auto at = std::ranges::find_if(
      kInner, [&](const Inner& each) { return each.shape == shape.name && each.field == field; });
  return at == kInner.end() ? nullptr : &*at;
}

Json property(const Shape& shape, const Field& field) {
  Json out =
      field.policy == Policy::only_default ? only_neutral(field) : typed(field, inner_of(shape, field.name));
  const Note note = note_of(shape.name, field.name);
  std::string text(note.text);
  if (field.policy == Policy::only_default)
    text = "Not supported: any value but those listed would change the answer and is refused.";
  if (field.policy == Policy::ignored)
    text += text.empty() ? "Accepted; has no influence." : " Has no influence here.";
  out["description"] = text;
  if (field.policy == Policy::only_default) return out;
  if (!note.otherwise.empty()) out["default"] = Json::parse(note.otherwise);
  const Json more = Json::parse(note.more.empty() ? "{}" : note.more);
  for (const auto& [key, value] : more.items()) out[key] = value;
  if (out.contains("enum")) out["enum"].push_back(nullptr);
  return out;
}

void add_fields(std::span<const Field> table, Endpoints where, bool (*takes)(std::string_view),
                std::vector<const Field*>& out) {
  for (const Field& field : table) {
    if ((field.where & where) == 0 || (takes != nullptr && !takes(field.name))) continue;
    const bool known = std::ranges::any_of(out, [&](const Field* each) { return each->name == field.name; });
    if (!known) out.push_back(&field);
  }
}

}  // namespace

std::span<const Shape> shapes() {
  return kShapes;
}

std::span<const Inner> inner_shapes() {
  return kInner;
}

std::vector<const Field*> fields_of(const Shape& shape) {
  std::vector<const Field*> out;
  add_fields(shape.table(), shape.where, nullptr, out);
  if (shape.of_chat != nullptr) add_fields(gateway::fields(), kChat, shape.of_chat, out);
  return out;
}

Json schema_of(const Shape& shape) {
  Json out = Json::object();
  out["type"] = "object";
  Json& properties = out["properties"] = Json::object();
  for (const Field* field : fields_of(shape)) properties[std::string(field->name)] = property(shape, *field);
  Json required = Json::array();
  for (const std::string_view name : words(shape.required)) required.push_back(name);
  if (!required.empty()) out["required"] = std::move(required);
  out["additionalProperties"] = shape.unknown == UnknownKeys::ignored;
  return out;
}

std::vector<std::string_view> words(std::string_view list, char between) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(between), list.size());
    if (end > 0) out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

Json reference(std::string_view name, std::string_view kind) {
  Json out = Json::object();
  out["$ref"] = "#/components/" + std::string(kind) + "/" + std::string(name);
  return out;
}

}  // namespace troupe::gateway::openapi
