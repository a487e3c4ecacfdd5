#include "services/gateway/embeddings/vector_answer.hpp"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::gateway {
namespace {

using nlohmann::json;
using Vector = std::vector<float>;

VectorAnswer::End end_of(std::uint64_t tokens) {
  return {RequestId{1, 2}, 1700000000, "m", tokens};
}

void take(VectorAnswer& answer, std::size_t index, Vector vector) {
  EXPECT_TRUE(answer.take(index, std::move(vector)).has_value());
}

std::string base64(std::string_view text) {
  std::string out;
  append_base64(out, std::as_bytes(std::span(text)));
  return out;
}

TEST(VectorAnswer, Base64IsThatOfTheStandard) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

TEST(VectorAnswer, EmbeddingsComeInTheirOrderWithEveryBit) {
  const auto answer = embedding_answer(2, false, std::nullopt);
  const Vector first{0.1F, -0.99498743F}, second{1e-9F, 1.0F};
  take(*answer, 1, second);
  take(*answer, 0, first);
  const json body = json::parse(answer->body(end_of(7)));
  EXPECT_EQ(body["object"], "list");
  EXPECT_EQ(body["model"], "m");
  EXPECT_EQ(body["usage"], (json{{"prompt_tokens", 7}, {"total_tokens", 7}}));
  ASSERT_EQ(body["data"].size(), 2u);
  EXPECT_EQ(body["data"][0]["object"], "embedding");
  EXPECT_EQ(body["data"][1]["index"], 1);
  EXPECT_EQ(body["data"][0]["embedding"].get<Vector>(), first);
  EXPECT_EQ(body["data"][1]["embedding"].get<Vector>(), second);
}

TEST(VectorAnswer, Base64HoldsTheBytesOfTheNumbers) {
  const auto answer = embedding_answer(1, true, std::nullopt);
  take(*answer, 0, {1.0F, -2.0F});
  EXPECT_EQ(json::parse(answer->body(end_of(1)))["data"][0]["embedding"], "AACAPwAAAMA=");
}

TEST(VectorAnswer, DimensionsCutAndScale) {
  const auto answer = embedding_answer(2, false, 2);
  take(*answer, 0, {0.3F, 0.4F, 0.8660254F});
  take(*answer, 1, {0, 0, 1});
  const json body = json::parse(answer->body(end_of(1)));
  EXPECT_EQ(body["data"][0]["embedding"].get<Vector>(), (Vector{0.6F, 0.8F}));
  EXPECT_EQ(body["data"][1]["embedding"].get<Vector>(), (Vector{0, 0}));
  const auto refused = embedding_answer(1, false, 3)->take(0, {1, 0});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().param, "dimensions");
}

TEST(VectorAnswer, TheNearestDocumentsAreToldBestFirst) {
  const auto answer = rerank_answer(5, 3, {"far", "near", "same", "same again"});
  take(*answer, 0, {1, 0});
  take(*answer, 1, {0, 1});
  take(*answer, 2, {0.8F, 0.6F});
  take(*answer, 3, {1, 0});
  take(*answer, 4, {1, 0});
  const json body = json::parse(answer->body(end_of(9)));
  std::vector<std::size_t> order;
  for (const json& result : body["results"]) order.push_back(result["index"]);
  EXPECT_EQ(order, (std::vector<std::size_t>{2, 3, 1})) << "equal ones in their order";
  EXPECT_EQ(body["results"][0]["relevance_score"], 1.0);
  EXPECT_NEAR(body["results"][2]["relevance_score"].get<double>(), 0.8, 1e-7);
  EXPECT_EQ(body["results"][2]["document"]["text"], "near");
  EXPECT_EQ(body["usage"]["total_tokens"], 9);
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("rerank-"));
  const auto bare = rerank_answer(2, 1, {});
  take(*bare, 0, {1, 0});
  take(*bare, 1, {1, 0});
  EXPECT_FALSE(json::parse(bare->body(end_of(1)))["results"][0].contains("document"));
}

TEST(VectorAnswer, ScoresGoPairByPairOrOneWithAll) {
  const auto scores = [](std::size_t left, std::size_t right, const std::vector<Vector>& vectors) {
    const auto answer = score_answer(left, right);
    for (std::size_t i = 0; i < vectors.size(); ++i) take(*answer, i, vectors[i]);
    const json body = json::parse(answer->body(end_of(1)));
    std::vector<double> out;
    for (const json& each : body["data"]) out.push_back(each["score"]);
    return out;
  };
  const Vector x{1, 0}, y{0, 1};
  EXPECT_EQ(scores(1, 2, {x, x, y}), (std::vector<double>{1, 0}));
  EXPECT_EQ(scores(2, 1, {x, y, y}), (std::vector<double>{0, 1}));
  EXPECT_EQ(scores(2, 2, {x, y, y, y}), (std::vector<double>{0, 1}));
  EXPECT_EQ(scores(1, 1, {x, {-1, 0}}), (std::vector<double>{-1}));
}

}  // namespace
}  // namespace troupe::gateway
