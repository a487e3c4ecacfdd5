#include "services/gateway/embeddings/vector_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

void append_float(std::string& out, float value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_head(std::string& out, std::string_view prefix, const VectorAnswer::End& end) {
  out += "\"id\":\"";
  out += prefix;
  out += to_hex(end.id) + "\",\"model\":";
  append_quoted(out, end.model);
}

void append_usage(std::string& out, std::uint64_t tokens) {
  out += "\"usage\":{\"prompt_tokens\":";
  append_number(out, tokens);
  out += ",\"total_tokens\":";
  append_number(out, tokens);
  out += '}';
}

void shorten(std::vector<float>& vector, std::size_t dimensions) {
  vector.resize(dimensions);
  double squares = 0;
  for (const float value : vector) squares += double{value} * double{value};
  const double length = std::sqrt(squares);
  if (!(length > 0)) return;
  for (float& value : vector) value = static_cast<float>(double{value} / length);
}

class EmbeddingAnswer final : public VectorAnswer {
 public:
  EmbeddingAnswer(std::size_t texts, bool base64, std::optional<std::uint32_t> dimensions)
      : written_(texts), base64_(base64), dimensions_(dimensions) {}

  Parsed<void> take(std::size_t index, std::vector<float> vector) override {
    if (dimensions_ && *dimensions_ > vector.size()) {
      return refuse("invalid_value", "dimensions",
                    "dimensions: vectors of this model have " + std::to_string(vector.size()) +
                        " numbers, found " + std::to_string(*dimensions_));
    }
    if (dimensions_ && *dimensions_ < vector.size()) shorten(vector, *dimensions_);
    base64_ ? write_base64(written_[index], vector) : write_numbers(written_[index], vector);
    return {};
  }
  std::string body(const End& end) override {
    std::string out = "{\"object\":\"list\",\"data\":[";
    for (std::size_t i = 0; i < written_.size(); ++i) {
      if (i != 0) out += ',';
      out += "{\"object\":\"embedding\",\"index\":";
      append_number(out, i);
      out += ",\"embedding\":";
      out += std::exchange(written_[i], {});
      out += '}';
    }
    out += "],\"model\":";
    append_quoted(out, end.model);
    out += ',';
    append_usage(out, end.tokens);
    out += '}';
    return out;
  }

 private:
  static void write_numbers(std::string& out, const std::vector<float>& vector) {
    for (const float value : vector) {
      out += out.empty() ? '[' : ',';
      append_float(out, value);
    }
    out += ']';
  }
  /// As OpenAI does: the numbers' bytes, lowest first.
  static void write_base64(std::string& out, const std::vector<float>& vector) {
    out += '"';
    append_base64(out, std::as_bytes(std::span(vector)));
    out += '"';
  }

  std::vector<std::string> written_;
  const bool base64_;
  const std::optional<std::uint32_t> dimensions_;
};

class RerankAnswer final : public VectorAnswer {
 public:
  RerankAnswer(std::size_t texts, std::size_t top_n, std::vector<std::string> documents)
      : vectors_(texts), top_n_(top_n), documents_(std::move(documents)) {}

  Parsed<void> take(std::size_t index, std::vector<float> vector) override {
    vectors_[index] = std::move(vector);
    return {};
  }
  std::string body(const End& end) override {
    std::vector<double> scores(vectors_.size() - 1);
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = cosine(vectors_[0], vectors_[i + 1]);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    order.resize(std::min(order.size(), top_n_));
    std::string out = "{";
    append_head(out, "rerank-", end);
    out += ",\"results\":[";
    for (std::size_t place = 0; place < order.size(); ++place) {
      if (place != 0) out += ',';
      append_result(out, order[place], scores[order[place]]);
    }
    out += "],";
    append_usage(out, end.tokens);
    out += '}';
    return out;
  }

 private:
  void append_result(std::string& out, std::size_t document, double score) const {
    out += "{\"index\":";
    append_number(out, document);
    out += ",\"relevance_score\":";
    append_real(out, score);
    if (!documents_.empty()) {
      out += ",\"document\":{\"text\":";
      append_quoted(out, documents_[document]);
      out += '}';
    }
    out += '}';
  }

  std::vector<std::vector<float>> vectors_;
  const std::size_t top_n_;
  const std::vector<std::string> documents_;
};

class ScoreAnswer final : public VectorAnswer {
 public:
  ScoreAnswer(std::size_t left, std::size_t right) : left_(left), vectors_(left + right) {}

  Parsed<void> take(std::size_t index, std::vector<float> vector) override {
    vectors_[index] = std::move(vector);
    return {};
  }
  std::string body(const End& end) override {
    const std::size_t right = vectors_.size() - left_;
    std::string out = "{";
    append_head(out, "score-", end);
    out += ",\"object\":\"list\",\"created\":" + std::to_string(end.created) + ",\"data\":[";
    for (std::size_t pair = 0; pair < std::max(left_, right); ++pair) {
      if (pair != 0) out += ',';
      out += "{\"index\":";
      append_number(out, pair);
      out += ",\"object\":\"score\",\"score\":";
      append_real(out, cosine(vectors_[left_ == 1 ? 0 : pair], vectors_[left_ + (right == 1 ? 0 : pair)]));
      out += '}';
    }
    out += "],";
    append_usage(out, end.tokens);
    out += '}';
    return out;
  }

 private:
  const std::size_t left_;
  std::vector<std::vector<float>> vectors_;
};

}  // namespace

std::unique_ptr<VectorAnswer> embedding_answer(std::size_t texts, bool base64,
                                               std::optional<std::uint32_t> dimensions) {
  return std::make_unique<EmbeddingAnswer>(texts, base64, dimensions);
}

std::unique_ptr<VectorAnswer> rerank_answer(std::size_t texts, std::size_t top_n,
                                            std::vector<std::string> documents) {
  return std::make_unique<RerankAnswer>(texts, top_n, std::move(documents));
}

std::unique_ptr<VectorAnswer> score_answer(std::size_t left, std::size_t right) {
  return std::make_unique<ScoreAnswer>(left, right);
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

void append_base64(std::string& out, std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 3; ++i)
      word = (word << 8) | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) out += i <= count ? kDigits[(word >> (18 - 6 * i)) & 63] : '=';
  }
}

}  // namespace troupe::gateway
