#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <sstream>

#include "services/cli/command.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

std::string delta(const std::string& text) {
  return event_chunk(R"({"choices":[{"delta":{"content":")" + text + R"("}}]})");
}

struct Ran {
  int code = -1;
  std::string out, err;
};

/// Runs `chat` with `input` as standard input.
Ran chat(const ScriptServer& server, const std::string& input, Arguments more = {}) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe(pipe.data()), 0);
  EXPECT_EQ(::write(pipe[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
  ::close(pipe[1]);
  std::ostringstream out;
  std::ostringstream err;
  Io io{out, err, pipe[0], {}};
  more.insert(more.begin(), {"--url", server.url() + "/v1", "--model=m"});
  const int code = chat_command(std::move(more), io);
  ::close(pipe[0]);
  return {code, out.str(), err.str()};
}

TEST(ChatCommand, AnswersEachLineUntilTheInputEnds) {
  ScriptServer server({{{stream_header() + delta("one") + event_chunk("[DONE]")}},
                       {{stream_header() + delta("two") + event_chunk("[DONE]")}}});
  const Ran ran = chat(server, "a\n\n  \nb\n");
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_EQ(ran.out, "one\ntwo\n");
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(ChatCommand, ResetForgetsAndExitLeaves) {
  ScriptServer server({{{stream_header() + delta("one") + event_chunk("[DONE]")}},
                       {{stream_header() + delta("two") + event_chunk("[DONE]")}}});
  const Ran ran = chat(server, "first\n/reset\nsecond\n/exit\nnever sent\n");
  EXPECT_EQ(ran.out, "one\ntwo\n");
  EXPECT_EQ(server.requests()[1].find("first"), std::string::npos);
}

TEST(ChatCommand, DropsEscapeSequencesOfTheModel) {
  ScriptServer server({{{stream_header() + delta("a\\u001b[31mb") + event_chunk("[DONE]")}}});
  EXPECT_EQ(chat(server, "x\n").out, "a[31mb\n");
}

TEST(ChatCommand, CtrlCStopsTheAnswerAndNotTheProgram) {
  // The held stream would never end by itself; the signal comes when its first piece is printed.
  class SignalOnWrite : public std::stringbuf {
   protected:
    std::streamsize xsputn(const char* text, std::streamsize size) override {
      if (std::string_view(text, static_cast<std::size_t>(size)) == "long") ::raise(SIGINT);
      return std::stringbuf::xsputn(text, size);
    }
  };
  ScriptServer server({{{stream_header() + delta("long")}, true},
                       {{stream_header() + delta("next") + event_chunk("[DONE]")}}});
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  ASSERT_EQ(::write(pipe[1], "a\nb\n", 4), 4);
  ::close(pipe[1]);
  SignalOnWrite buffer;
  std::ostream out(&buffer);
  std::ostringstream err;
  Io io{out, err, pipe[0], {}};
  EXPECT_EQ(chat_command({"--url=" + server.url() + "/v1", "--model=m"}, io), ok) << err.str();
  ::close(pipe[0]);
  EXPECT_EQ(buffer.str(), "long\nnext\n");
  EXPECT_EQ(err.str(), "[stopped]\n");
  EXPECT_EQ(server.closed_by_client(), 1);
}

TEST(ChatCommand, ReportsAnUnansweredQuestionInItsExitCode) {
  ScriptServer server({{{plain_answer(R"({"error":{"message":"busy"}})", 503)}}});
  const Ran ran = chat(server, "x\n");
  EXPECT_EQ(ran.code, failed);
  EXPECT_NE(ran.err.find("the server answered 503: busy"), std::string::npos);
}

TEST(ChatCommand, RefusesUnknownFlagsAndBadUrls) {
  ScriptServer server({});
  EXPECT_NE(chat(server, "", {"--modle=x"}).err.find("did you mean --model?"), std::string::npos);
  EXPECT_EQ(chat(server, "", {"--url=ftp://x"}).code, bad_input);
  EXPECT_EQ(chat(server, "", {"--url=https://x", "--cacert=/no/such/file"}).code, bad_input);
}

}  // namespace
}  // namespace troupe::cli
