#pragma once
// Vectors as they come become the body of an answer: OpenAI's embeddings, Jina's and Cohere's rerank, vLLM's
// score.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

/// Threads: one at a time.
class VectorAnswer {
 public:
  virtual ~VectorAnswer() = default;
  /// The vector of the request's text `index`, of length 1; each text's comes once, in any order. What can be
  /// written of it is written now, so that no long work waits at the end. Errors: invalid_value for
  /// `dimensions` that the model has not.
  [[nodiscard]] virtual Parsed<void> take(std::size_t index, std::vector<float> vector) = 0;
  struct End {
    RequestId id;
    std::int64_t created = 0;  ///< seconds since 1970
    std::string_view model;
    std::uint64_t tokens = 0;  ///< of all texts
  };
  /// Once every vector was taken.
  [[nodiscard]] virtual std::string body(const End& end) = 0;
};

/// `dimensions`: leading numbers of each vector, scaled to length 1 again; none: all.
[[nodiscard]] std::unique_ptr<VectorAnswer> embedding_answer(std::size_t texts, bool base64,
                                                             std::optional<std::uint32_t> dimensions);
/// Text 0 is the query; the others are documents, the nearest `top_n` of which are told, best first and in
/// their order where they are equal. `documents`: their texts, to be shown; empty: they are not.
[[nodiscard]] std::unique_ptr<VectorAnswer> rerank_answer(std::size_t texts, std::size_t top_n,
                                                          std::vector<std::string> documents);
/// The first `left` texts with the others, pair by pair; a side of one text is paired with each of the other
/// side.
[[nodiscard]] std::unique_ptr<VectorAnswer> score_answer(std::size_t left, std::size_t right);

/// The cosine of vectors of length 1.
[[nodiscard]] double cosine(std::span<const float> a, std::span<const float> b);
void append_base64(std::string& out, std::span<const std::byte> bytes);

}  // namespace troupe::gateway
