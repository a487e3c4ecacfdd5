#include "services/gateway/embeddings/vector_request.hpp"

#include <gtest/gtest.h>

namespace troupe::gateway {
namespace {

std::string refused(const auto& parsed) {
  return parsed ? "taken" : parsed.error().code + " " + parsed.error().param;
}

TEST(VectorRequest, InputIsATextOrTokensOrAListOfThem) {
  const auto texts = [](const std::string& input) {
    const auto parsed = parse_embedding(R"({"model":"m","input":)" + input + "}");
    EXPECT_TRUE(parsed.has_value()) << input;
    std::string out;
    for (const TextInput& each : parsed->input) {
      out += each.text;
      for (const TokenId id : each.tokens) out.append(1, '#').append(std::to_string(id));
      out += ";";
    }
    return out;
  };
  EXPECT_EQ(texts(R"("one")"), "one;");
  EXPECT_EQ(texts(R"(["one","two"])"), "one;two;");
  EXPECT_EQ(texts("[1,2]"), "#1#2;");
  EXPECT_EQ(texts("[[1,2],[3]]"), "#1#2;#3;");
}

TEST(VectorRequest, WrongInputIsNamedWithItsPlace) {
  const auto error = [](const std::string& rest) {
    VectorLimits limits;
    limits.max_texts = 3;
    return refused(parse_embedding(R"({"model":"m")" + rest + "}", limits));
  };
  EXPECT_EQ(error(""), "missing_required_parameter input");
  EXPECT_EQ(error(R"(,"input":"")"), "invalid_value input");
  EXPECT_EQ(error(R"(,"input":[])"), "invalid_value input");
  EXPECT_EQ(error(R"(,"input":["a",""])"), "invalid_value input[1]");
  EXPECT_EQ(error(R"(,"input":["a",[]])"), "invalid_value input[1]");
  EXPECT_EQ(error(R"(,"input":[1,"a"])"), "invalid_type input[1]");
  EXPECT_EQ(error(R"(,"input":[[1],[-2]])"), "invalid_value input[1][0]");
  EXPECT_EQ(error(R"(,"input":[1.5])"), "invalid_type input[0]");
  EXPECT_EQ(error(R"(,"input":[{}])"), "invalid_type input[0]");
  EXPECT_EQ(error(R"(,"input":7)"), "invalid_type input");
  EXPECT_EQ(error(R"(,"input":["a","b","c","d"])"), "invalid_value input");
  EXPECT_EQ(error(R"(,"input":["a","b","c"])"), "taken");
  EXPECT_EQ(error(R"(,"input":"a","encoding_format":"hex")"), "invalid_value encoding_format");
  EXPECT_EQ(error(R"(,"input":"a","dimensions":0)"), "invalid_value dimensions");
  EXPECT_EQ(error(R"(,"input":"a","temperature":1)"), "unknown_parameter temperature");
  EXPECT_EQ(error(R"(,"input":"a","troupe":{"pooling":"max"})"), "invalid_value troupe.pooling");
  EXPECT_EQ(error(R"(,"input":"a","troupe":{"beam":{}})"), "taken") << "empty values mean nothing";
  EXPECT_EQ(error(R"(,"input":"a","truncate_prompt_tokens":5)"),
            "unsupported_parameter truncate_prompt_tokens");
  EXPECT_EQ(refused(parse_embedding(R"({"input":"a"})")), "missing_required_parameter model");
  EXPECT_EQ(refused(parse_embedding("[]")), "invalid_type ");
  EXPECT_EQ(refused(parse_embedding("{")), "malformed_json ");
}

TEST(VectorRequest, OptionsAreRead) {
  const auto plain = parse_embedding(R"({"model":"m","input":"a"})");
  ASSERT_TRUE(plain.has_value());
  EXPECT_FALSE(plain->base64);
  EXPECT_FALSE(plain->dimensions.has_value());
  EXPECT_EQ(plain->pooling, Pooling::mean);
  const auto full = parse_embedding(
      R"({"model":"m","input":"a","encoding_format":"base64","dimensions":64,"user":"u","priority":3,"troupe":{"pooling":"last"}})");
  ASSERT_TRUE(full.has_value());
  EXPECT_TRUE(full->base64);
  EXPECT_EQ(full->dimensions, 64u);
  EXPECT_EQ(full->priority, 3);
  EXPECT_EQ(full->pooling, Pooling::last);
}

TEST(VectorRequest, DocumentsAreTextsOrObjectsWithOne) {
  const auto parsed = parse_rerank(
      R"({"model":"m","query":"q","documents":["a",{"text":"b","title":"t"}],"top_n":1,"return_documents":false})");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->query, "q");
  EXPECT_EQ(parsed->documents, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parsed->top_n, 1u);
  EXPECT_FALSE(parsed->return_documents);
  const auto error = [](const std::string& rest) {
    return refused(parse_rerank(R"({"model":"m","query":"q")" + rest + "}"));
  };
  EXPECT_EQ(error(""), "missing_required_parameter documents");
  EXPECT_EQ(error(R"(,"documents":[])"), "invalid_value documents");
  EXPECT_EQ(error(R"(,"documents":"a")"), "invalid_type documents");
  EXPECT_EQ(error(R"(,"documents":["a",{"txt":"b"}])"), "missing_required_parameter documents[1].text");
  EXPECT_EQ(error(R"(,"documents":["a",7])"), "invalid_type documents[1]");
  EXPECT_EQ(error(R"(,"documents":["a"],"top_n":0)"), "invalid_value top_n");
  EXPECT_EQ(error(R"(,"documents":["a"],"rank_fields":["x"])"), "unsupported_parameter rank_fields");
}

TEST(VectorRequest, ScoresTakeOneTextWithMany) {
  const auto error = [](const std::string& rest) {
    return refused(parse_score(R"({"model":"m")" + rest + "}"));
  };
  EXPECT_EQ(error(R"(,"text_1":"a","text_2":["b","c"])"), "taken");
  EXPECT_EQ(error(R"(,"text_1":["a","b"],"text_2":"c")"), "taken");
  EXPECT_EQ(error(R"(,"text_1":["a","b"],"text_2":["c","d"])"), "taken");
  EXPECT_EQ(error(R"(,"text_1":["a","b"],"text_2":["c","d","e"])"), "invalid_value text_2");
  EXPECT_EQ(error(R"(,"text_1":"a")"), "missing_required_parameter text_2");
}

}  // namespace
}  // namespace troupe::gateway
