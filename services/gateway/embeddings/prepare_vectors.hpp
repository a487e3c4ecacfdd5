#pragma once
// From a parsed request to the tokens of its texts and the answer that their vectors make. Runs on the text
// pool.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/gateway/dispatcher.hpp"
#include "services/gateway/embeddings/vector_answer.hpp"
#include "services/gateway/embeddings/vector_request.hpp"
#include "services/gateway/model_table.hpp"

namespace troupe::gateway {

struct PreparedVectors {
  std::string model;
  std::int32_t priority = 0;
  Pooling pooling = Pooling::mean;
  std::vector<std::vector<TokenId>> prompts;
  std::unique_ptr<VectorAnswer> answer;

  [[nodiscard]] std::uint64_t tokens() const;
};

/// Errors: context_length_exceeded with both numbers, invalid_value for ids outside the vocabulary, for texts
/// without tokens, and for more tokens than VectorLimits has; always with the field's path.
[[nodiscard]] Parsed<PreparedVectors> prepare_vectors(EmbeddingRequest request, const ModelText& model,
                                                      const ServedModel& served,
                                                      const VectorLimits& limits = {});
[[nodiscard]] Parsed<PreparedVectors> prepare_vectors(RerankRequest request, const ModelText& model,
                                                      const ServedModel& served,
                                                      const VectorLimits& limits = {});
[[nodiscard]] Parsed<PreparedVectors> prepare_vectors(ScoreRequest request, const ModelText& model,
                                                      const ServedModel& served,
                                                      const VectorLimits& limits = {});

}  // namespace troupe::gateway
