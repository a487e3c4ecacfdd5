#pragma once
// The bodies of /v1/embeddings, /v1/rerank and /v1/score as plain values, every one checked.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/pooling.hpp"
#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

struct VectorLimits {
  std::size_t max_texts = 2048;        ///< of one request, as OpenAI has it
  std::uint64_t max_tokens = 300'000;  ///< of all its texts, likewise
};

/// One text: this or those.
struct TextInput {
  std::string text;
  std::vector<TokenId> tokens;  ///< empty: it came as text
};

/// What the three have in common.
struct VectorRequest {
  std::string model;
  std::int32_t priority = 0;  ///< higher goes first
  Pooling pooling = Pooling::mean;
};

struct EmbeddingRequest : VectorRequest {
  std::vector<TextInput> input;
  bool base64 = false;
  std::optional<std::uint32_t> dimensions;  ///< leading numbers of each vector, scaled to length 1 again
};

struct RerankRequest : VectorRequest {
  std::string query;
  std::vector<std::string> documents;
  std::optional<std::uint32_t> top_n;  ///< none: all
  bool return_documents = true;
};

/// Each of text_1 with the text of its place in text_2, or a single one with every one of the other's.
struct ScoreRequest : VectorRequest {
  std::vector<std::string> text_1, text_2;
};

/// Errors: malformed_json, invalid_utf8, invalid_type, invalid_value, missing_required_parameter,
/// unknown_parameter, unsupported_parameter; always with the field's path.
[[nodiscard]] Parsed<EmbeddingRequest> parse_embedding(std::string_view body,
                                                       const VectorLimits& limits = {});
[[nodiscard]] Parsed<RerankRequest> parse_rerank(std::string_view body, const VectorLimits& limits = {});
[[nodiscard]] Parsed<ScoreRequest> parse_score(std::string_view body, const VectorLimits& limits = {});

}  // namespace troupe::gateway
