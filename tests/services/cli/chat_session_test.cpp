#include "services/cli/chat_session.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

std::string delta(const std::string& text, const std::string& finish = "") {
  nlohmann::json event{{"choices", {{{"index", 0}, {"delta", {{"content", text}}}}}}};
  if (!finish.empty()) event["choices"][0]["finish_reason"] = finish;
  return event_chunk(event.dump());
}

std::string whole_answer(const std::string& a, const std::string& b) {
  return stream_header() + delta(a) + delta(b, "stop") + event_chunk("[DONE]") + last_chunk();
}

ChatSession session_for(const ScriptServer& server, std::string system = "") {
  ChatSettings settings;
  settings.url = server.url() + "/v1";
  settings.model = "m";
  settings.system = std::move(system);
  settings.max_tokens = 7;
  settings.api_key = "key";
  return *ChatSession::make(settings);
}

nlohmann::json body_of(const std::string& request) {
  return nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4));
}

void ignore(std::string_view) {}

TEST(ChatSession, StreamsAnAnswerAndRemembersTheTurns) {
  ScriptServer server({{{whole_answer("Par", "is")}}, {{whole_answer("Ber", "lin")}}});
  ChatSession session = session_for(server, "Be brief.");
  std::string streamed;
  const auto first = session.ask(
      "France?", -1, [&](std::string_view piece) { streamed.append("[").append(piece).append("]"); });
  ASSERT_TRUE(first) << to_string(first.error());
  EXPECT_EQ(streamed, "[Par][is]");
  EXPECT_EQ(first->text, "Paris");
  EXPECT_EQ(first->finish_reason, "stop");
  ASSERT_TRUE(session.ask("Germany?", -1, ignore));
  const auto body = body_of(server.requests()[1]);
  EXPECT_EQ(body["model"], "m");
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["max_tokens"], 7);
  EXPECT_FALSE(body.contains("temperature"));
  ASSERT_EQ(body["messages"].size(), 4U);
  EXPECT_EQ(body["messages"][0]["content"], "Be brief.");
  EXPECT_EQ(body["messages"][2]["role"], "assistant");
  EXPECT_EQ(body["messages"][2]["content"], "Paris");
  EXPECT_EQ(body["messages"][3]["content"], "Germany?");
  EXPECT_TRUE(server.requests()[0].starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_NE(server.requests()[0].find("Authorization: Bearer key\r\n"), std::string::npos);
}

TEST(ChatSession, TakesTheFirstModelOfTheEndpoint) {
  ScriptServer server(
      {{{plain_answer(R"({"data":[{"id":"first"},{"id":"second"}]})")}}, {{plain_answer(R"({"data":[]})")}}});
  ChatSettings settings;
  settings.url = server.url() + "/v1";
  ChatSession session = *ChatSession::make(settings);
  EXPECT_EQ(*session.choose_model(-1), "first");
  EXPECT_EQ(*session.choose_model(-1), "first");  // not asked again
  ChatSession other = *ChatSession::make(settings);
  EXPECT_EQ(other.choose_model(-1).error().code, Errc::model_not_found);
  EXPECT_TRUE(server.requests()[0].starts_with("GET /v1/models HTTP/1.1\r\n"));
}

TEST(ChatSession, AnInterruptKeepsWhatCameAndClosesTheStream) {
  ScriptServer server({{{stream_header() + delta("Once upon")}, true}});
  ChatSession session = session_for(server);
  const int interrupt = ::eventfd(0, EFD_CLOEXEC);
  const auto answer =
      session.ask("A story", interrupt, [&](std::string_view) { ::eventfd_write(interrupt, 1); });
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->interrupted);
  EXPECT_EQ(answer->text, "Once upon");
  EXPECT_EQ(session.history().back().content, "Once upon");
  EXPECT_EQ(server.closed_by_client(), 1);
  ::close(interrupt);
}

TEST(ChatSession, AnInterruptBeforeTheFirstTokenForgetsTheQuestion) {
  ScriptServer server({{{stream_header()}, true}});
  ChatSession session = session_for(server);
  const int interrupt = ::eventfd(1, EFD_CLOEXEC);
  EXPECT_TRUE(session.ask("A story", interrupt, ignore)->interrupted);
  EXPECT_TRUE(session.history().empty());
  ::close(interrupt);
}

TEST(ChatSession, AnErrorSaysWhatTheServerSaidAndForgetsTheQuestion) {
  ScriptServer server(
      {{{plain_answer(R"({"error":{"message":"too long","code":"context_length_exceeded"}})", 400)}},
       {{plain_answer("<html>", 502)}},
       {{stream_header() + delta("half")}},
       {{stream_header() + event_chunk(R"({"error":{"message":"lost a worker"}})")}},
       {{stream_header() + event_chunk("nonsense")}}});
  ChatSession session = session_for(server);
  EXPECT_EQ(session.ask("q", -1, ignore).error().detail, "the server answered 400: too long");
  EXPECT_EQ(session.ask("q", -1, ignore).error().detail, "the server answered 502");
  EXPECT_EQ(session.ask("q", -1, ignore).error().code, Errc::peer_lost);
  EXPECT_EQ(session.ask("q", -1, ignore).error().detail, "lost a worker");
  EXPECT_EQ(session.ask("q", -1, ignore).error().code, Errc::wire_malformed);
  EXPECT_TRUE(session.history().empty());
}

TEST(ChatSession, ResetKeepsTheSystemMessage) {
  ScriptServer server({{{whole_answer("a", "b")}}});
  ChatSession session = session_for(server, "sys");
  ASSERT_TRUE(session.ask("q", -1, ignore));
  EXPECT_EQ(session.history().size(), 3U);
  session.reset();
  ASSERT_EQ(session.history().size(), 1U);
  EXPECT_EQ(session.history()[0].role, "system");
}

TEST(ChatSession, SendsBadUtf8AsReplacements) {
  ScriptServer server({{{whole_answer("a", "b")}}});
  ChatSession session = session_for(server);
  ASSERT_TRUE(session.ask("\xff", -1, ignore));
  EXPECT_EQ(body_of(server.requests()[0])["messages"][0]["content"], "\xEF\xBF\xBD");
}

TEST(ReadDelta, SurvivesOddShapes) {
  for (const char* odd :
       {R"({})", R"({"choices":null})", R"({"choices":[1,null,{}]})",
        R"({"choices":[{"delta":{"content":null}}]})", R"({"choices":[{"delta":3}],"usage":{}})"}) {
    ChatAnswer answer;
    const auto piece = read_delta(odd, answer);
    ASSERT_TRUE(piece) << odd;
    EXPECT_EQ(*piece, "");
  }
  ChatAnswer answer;
  EXPECT_FALSE(read_delta("[]", answer));
  EXPECT_FALSE(read_delta(R"({"error":"x"})", answer));
}

}  // namespace
}  // namespace troupe::cli
