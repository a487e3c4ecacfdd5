#include "services/gateway/embeddings/prepare_vectors.hpp"

#include <utility>

#include "services/gateway/prepare.hpp"

namespace troupe::gateway {
namespace {

/// Collects a request's texts as tokens, under its limits.
class Texts {
 public:
  Texts(const VectorRequest& request, const ModelText& model, const ServedModel& served,
        const VectorLimits& limits)
      : tokenizer_(*model.tokenizer), context_(served.context_length), limits_(limits) {
    out_.model = request.model;
    out_.priority = request.priority;
    out_.pooling = request.pooling;
  }

  /// A stranger's text: what spells a control token in it is text.
  Parsed<void> add(const std::string& text, const std::string& path) {
    auto ids = tokenizer_.encode(text, SpecialTokens::as_text, true);
    if (!ids) return tl::unexpected<ApiError>(to_api(ids.error(), path));
    return add(std::move(*ids), path);
  }
  Parsed<void> add(std::vector<TokenId> tokens, const std::string& path) {
    if (tokens.empty()) return refuse("invalid_value", path, path + ": it has no tokens");
    if (auto checked = check_ids(tokens, tokenizer_, path); !checked) return checked;
    if (tokens.size() > context_) {
      return refuse("context_length_exceeded", path,
                    path + ": the model's context holds " + std::to_string(context_) +
                        " tokens, the text has " + std::to_string(tokens.size()));
    }
    tokens_ += tokens.size();
    if (tokens_ > limits_.max_tokens) {
      return refuse("invalid_value", path,
                    path + ": a request has at most " + std::to_string(limits_.max_tokens) +
                        " tokens, this text is beyond them");
    }
    out_.prompts.push_back(std::move(tokens));
    return {};
  }
  Parsed<void> add_all(const std::vector<std::string>& texts, const std::string& key) {
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (auto added = add(texts[i], key + "[" + std::to_string(i) + "]"); !added) return added;
    return {};
  }
  PreparedVectors take(std::unique_ptr<VectorAnswer> answer) {
    out_.answer = std::move(answer);
    return std::move(out_);
  }

 private:
  const Tokenizer& tokenizer_;
  const std::uint64_t context_;
  const VectorLimits limits_;
  std::uint64_t tokens_ = 0;
  PreparedVectors out_;
};

}  // namespace

std::uint64_t PreparedVectors::tokens() const {
  std::uint64_t sum = 0;
  for (const auto& prompt : prompts) sum += prompt.size();
  return sum;
}

Parsed<PreparedVectors> prepare_vectors(EmbeddingRequest request, const ModelText& model,
                                        const ServedModel& served, const VectorLimits& limits) {
  Texts texts(request, model, served, limits);
  for (std::size_t i = 0; i < request.input.size(); ++i) {
    TextInput& input = request.input[i];
    const std::string path = request.input.size() == 1 ? "input" : "input[" + std::to_string(i) + "]";
    auto added =
        input.tokens.empty() ? texts.add(input.text, path) : texts.add(std::move(input.tokens), path);
    if (!added) return tl::unexpected<ApiError>(std::move(added.error()));
  }
  return texts.take(embedding_answer(request.input.size(), request.base64, request.dimensions));
}

Parsed<PreparedVectors> prepare_vectors(RerankRequest request, const ModelText& model,
                                        const ServedModel& served, const VectorLimits& limits) {
  Texts texts(request, model, served, limits);
  auto added = texts.add(request.query, "query");
  if (added) added = texts.add_all(request.documents, "documents");
  if (!added) return tl::unexpected<ApiError>(std::move(added.error()));
  const std::size_t count = request.documents.size();
  if (!request.return_documents) request.documents.clear();
  return texts.take(rerank_answer(count + 1, request.top_n.value_or(static_cast<std::uint32_t>(count)),
                                  std::move(request.documents)));
}

Parsed<PreparedVectors> prepare_vectors(ScoreRequest request, const ModelText& model,
                                        const ServedModel& served, const VectorLimits& limits) {
  Texts texts(request, model, served, limits);
  auto added = texts.add_all(request.text_1, "text_1");
  if (added) added = texts.add_all(request.text_2, "text_2");
  if (!added) return tl::unexpected<ApiError>(std::move(added.error()));
  return texts.take(score_answer(request.text_1.size(), request.text_2.size()));
}

}  // namespace troupe::gateway
