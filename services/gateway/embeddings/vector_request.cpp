#include "services/gateway/embeddings/vector_request.hpp"

#include <limits>
#include <utility>

#include "services/gateway/json_reader.hpp"
#include "services/gateway/openai_schema.hpp"

namespace troupe::gateway {
namespace {

tl::unexpected<ApiError> pass_on(ApiError error) {
  return tl::unexpected<ApiError>(std::move(error));
}

tl::unexpected<ApiError> wrong_type(const std::string& path, std::string_view expected, const Json& found) {
  return refuse("invalid_type", path,
                path + ": expected " + std::string(expected) + ", found " + describe(found));
}

Parsed<Json> read_object(std::string_view body, Endpoints where) {
  auto object = read_json(body);
  if (!object) return object;
  if (!object->is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(*object));
  if (auto checked = check_fields(*object, where, ""); !checked) return pass_on(std::move(checked.error()));
  return object;
}

Parsed<const Json*> required(const Json& object, const std::string& key) {
  const Json* value = find_value(object, key);
  if (value == nullptr) return refuse("missing_required_parameter", key, key + " is required");
  return value;
}

Parsed<Pooling> read_pooling(const Json& object) {
  const Json* own = find_value(object, "troupe");
  if (own == nullptr) return Pooling::mean;
  if (auto checked = check_fields(*own, kTroupeVectors, "troupe."); !checked)
    return pass_on(std::move(checked.error()));
  const Json* pooling = find_value(*own, "pooling");
  if (pooling == nullptr) return Pooling::mean;
  const auto& name = pooling->get_ref<const std::string&>();
  if (name == "mean") return Pooling::mean;
  if (name == "last") return Pooling::last;
  return refuse("invalid_value", "troupe.pooling", "troupe.pooling: expected \"mean\" or \"last\"");
}

Parsed<void> read_common(const Json& object, VectorRequest& out) {
  const auto model = required(object, "model");
  if (!model) return pass_on(model.error());
  out.model = (*model)->get<std::string>();
  if (const Json* priority = find_value(object, "priority"); priority != nullptr)
    out.priority = priority->get<std::int32_t>();
  auto pooling = read_pooling(object);
  if (!pooling) return pass_on(std::move(pooling.error()));
  out.pooling = *pooling;
  return {};
}

Parsed<std::string> read_text(const Json& value, const std::string& path) {
  if (!value.is_string()) return wrong_type(path, "a string", value);
  if (value.get_ref<const std::string&>().empty())
    return refuse("invalid_value", path, path + ": it is empty");
  return value.get<std::string>();
}

Parsed<void> check_count(std::size_t count, std::size_t most, const std::string& path) {
  if (count == 0) return refuse("invalid_value", path, path + ": it is empty");
  if (count <= most) return {};
  return refuse(
      "invalid_value", path,
      path + ": at most " + std::to_string(most) + " texts a request, found " + std::to_string(count));
}

Parsed<std::vector<TokenId>> read_tokens(const Json& ids, const std::string& path) {
  if (ids.empty()) return refuse("invalid_value", path, path + ": it is empty");
  std::vector<TokenId> out;
  out.reserve(ids.size());
  for (const Json& id : ids) {
    const std::string place = path + "[" + std::to_string(out.size()) + "]";
    if (!id.is_number_integer()) return wrong_type(place, "a token id", id);
    const bool fits =
        id.is_number_unsigned() && id.get<std::uint64_t>() <= std::numeric_limits<TokenId>::max();
    if (!fits) return refuse("invalid_value", place, place + ": expected a token id, found " + describe(id));
    out.push_back(id.get<TokenId>());
  }
  return out;
}

/// A string, or a list of token ids.
Parsed<TextInput> read_input(const Json& value, const std::string& path) {
  if (value.is_array()) {
    auto tokens = read_tokens(value, path);
    if (!tokens) return pass_on(std::move(tokens.error()));
    return TextInput{{}, std::move(*tokens)};
  }
  auto text = read_text(value, path);
  if (!text) return pass_on(std::move(text.error()));
  return TextInput{std::move(*text), {}};
}

Parsed<std::vector<TextInput>> read_inputs(const Json& input, const VectorLimits& limits) {
  std::vector<TextInput> out;
  const bool one = input.is_string() || (!input.empty() && input.front().is_number());
  if (one) {
    auto single = read_input(input, "input");
    if (!single) return pass_on(std::move(single.error()));
    out.push_back(std::move(*single));
    return out;
  }
  if (auto counted = check_count(input.size(), limits.max_texts, "input"); !counted)
    return pass_on(std::move(counted.error()));
  for (const Json& each : input) {
    auto read = read_input(each, "input[" + std::to_string(out.size()) + "]");
    if (!read) return pass_on(std::move(read.error()));
    out.push_back(std::move(*read));
  }
  return out;
}

/// A document is a text, or an object with its text.
Parsed<std::string> read_document(const Json& value, const std::string& path) {
  if (!value.is_object()) return read_text(value, path);
  const Json* text = find_value(value, "text");
  if (text == nullptr)
    return refuse("missing_required_parameter", path + ".text", path + ".text is required");
  return read_text(*text, path + ".text");
}

Parsed<std::vector<std::string>> read_texts(const Json& object, const std::string& key, std::size_t most) {
  const auto found = required(object, key);
  if (!found) return pass_on(found.error());
  const Json& value = **found;
  std::vector<std::string> out;
  if (value.is_string()) {
    auto text = read_text(value, key);
    if (!text) return pass_on(std::move(text.error()));
    out.push_back(std::move(*text));
    return out;
  }
  if (auto counted = check_count(value.size(), most, key); !counted)
    return pass_on(std::move(counted.error()));
  for (const Json& each : value) {
    auto text = read_document(each, key + "[" + std::to_string(out.size()) + "]");
    if (!text) return pass_on(std::move(text.error()));
    out.push_back(std::move(*text));
  }
  return out;
}

Parsed<bool> wants_base64(const Json& object) {
  const Json* format = find_value(object, "encoding_format");
  if (format == nullptr) return false;
  const auto& name = format->get_ref<const std::string&>();
  if (name == "float" || name == "base64") return name == "base64";
  return refuse("invalid_value", "encoding_format", "encoding_format: expected \"float\" or \"base64\"");
}

std::optional<std::uint32_t> read_count(const Json& object, std::string_view key) {
  const Json* value = find_value(object, key);
  return value == nullptr ? std::nullopt : std::optional(value->get<std::uint32_t>());
}

}  // namespace

Parsed<EmbeddingRequest> parse_embedding(std::string_view body, const VectorLimits& limits) {
  const auto object = read_object(body, kEmbeddings);
  if (!object) return pass_on(object.error());
  EmbeddingRequest out;
  if (auto common = read_common(*object, out); !common) return pass_on(std::move(common.error()));
  const auto input = required(*object, "input");
  if (!input) return pass_on(input.error());
  auto inputs = read_inputs(**input, limits);
  if (!inputs) return pass_on(std::move(inputs.error()));
  out.input = std::move(*inputs);
  const auto base64 = wants_base64(*object);
  if (!base64) return pass_on(base64.error());
  out.base64 = *base64;
  out.dimensions = read_count(*object, "dimensions");
  return out;
}

Parsed<RerankRequest> parse_rerank(std::string_view body, const VectorLimits& limits) {
  const auto object = read_object(body, kRerank);
  if (!object) return pass_on(object.error());
  RerankRequest out;
  if (auto common = read_common(*object, out); !common) return pass_on(std::move(common.error()));
  const auto query = required(*object, "query");
  if (!query) return pass_on(query.error());
  auto text = read_text(**query, "query");
  if (!text) return pass_on(std::move(text.error()));
  out.query = std::move(*text);
  auto documents = read_texts(*object, "documents", limits.max_texts - 1);
  if (!documents) return pass_on(std::move(documents.error()));
  out.documents = std::move(*documents);
  out.top_n = read_count(*object, "top_n");
  if (const Json* shown = find_value(*object, "return_documents"); shown != nullptr)
    out.return_documents = shown->get<bool>();
  return out;
}

Parsed<ScoreRequest> parse_score(std::string_view body, const VectorLimits& limits) {
  const auto object = read_object(body, kScore);
  if (!object) return pass_on(object.error());
  ScoreRequest out;
  if (auto common = read_common(*object, out); !common) return pass_on(std::move(common.error()));
  for (const auto& [key, texts] : {std::pair("text_1", &out.text_1), std::pair("text_2", &out.text_2)}) {
    auto read = read_texts(*object, key, limits.max_texts / 2);
    if (!read) return pass_on(std::move(read.error()));
    *texts = std::move(*read);
  }
  const std::size_t one = out.text_1.size(), two = out.text_2.size();
  if (one != two && one != 1 && two != 1) {
    return refuse("invalid_value", "text_2",
                  "text_2: expected one text or as many as text_1 has, " + std::to_string(one) + ", found " +
                      std::to_string(two));
  }
  return out;
}

}  // namespace troupe::gateway
