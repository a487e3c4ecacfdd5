// A request with a trace: its spans, its exemplar, and its absence where nobody asked.
#include "services/gateway/request_trace.hpp"

#include <map>
#include <thread>

#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kSampled = "traceparent: 00-" + std::string(kTrace) + "-b7ad6b7169203331-01\r\n";

class Tracing : public EdgeTest {
 protected:
  void start_traced(trace::TracerOptions options = {}) {
    gateway::EdgeOptions edge;
    edge.tracer = std::make_shared<trace::Tracer>(options);
    start(std::move(edge));
  }
  Answer ask(const std::string& headers, const json& body = chat_body()) {
    return HttpClient(port()).call("POST", "/v1/chat/completions", body.dump(), headers);
  }
  /// Waits for the root span, which is recorded as the answer leaves.
  json trace_of(const Answer& answer) {
    for (int i = 0; i < 1000; ++i) {
      const Answer trace =
          HttpClient(port()).call("GET", "/v1/requests/" + answer.header("x-request-id") + "/trace");
      if (trace.status == 200 && trace.body.find("\"request\"") != std::string::npos)
        return json::parse(trace.body)["traceEvents"];
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return json::array();
  }
};

TEST_F(Tracing, ARequestsStagesHangBelowItsSpanAndThatBelowItsCallers) {
  start_traced();
  const json events = trace_of(ask(kSampled));
  std::map<std::string, json> spans;
  for (const json& event : events)
    if (event["ph"] == "X") spans[event["name"]] = event;
  ASSERT_EQ(spans.size(), 4U) << events.dump(1);
  const json& root = spans["request"];
  EXPECT_EQ(root["args"]["parent"], "b7ad6b7169203331");
  EXPECT_EQ(root["args"]["http.response.status_code"], 200);
  EXPECT_EQ(root["args"]["gen_ai.usage.output_tokens"], 12);
  EXPECT_EQ(root["args"]["failed"], false);
  for (const char* stage : {"prepare", "first_token", "stream"}) {
    EXPECT_EQ(spans[stage]["args"]["parent"], root["args"]["span"]) << stage;
    EXPECT_LE(spans[stage]["dur"], root["dur"]) << stage;
  }
}

TEST_F(Tracing, AFailedRequestsSpanSaysSo) {
  start_traced();
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.error_before_tokens = Error{Errc::internal, "x"};
    return answer;
  });
  const json events = trace_of(ask(kSampled));
  ASSERT_FALSE(events.empty());
  for (const json& event : events)
    if (event["name"] == "request") {
      EXPECT_EQ(event["args"]["failed"], true) << events.dump(1);
    }
}

TEST_F(Tracing, WhatNobodyAskedForLeavesNothing) {
  start_traced();
  for (const char* header : {"", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n",
                             "traceparent: nonsense\r\n"}) {
    const Answer answer = ask(header);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(
        HttpClient(port()).call("GET", "/v1/requests/" + answer.header("x-request-id") + "/trace").status,
        404);
  }
  EXPECT_EQ(HttpClient(port())
                .call("GET", "/metrics", "", "Accept: application/openmetrics-text\r\n")
                .body.find("trace_id="),
            std::string::npos);
}

TEST_F(Tracing, AShareOfTheRestIsRecorded) {
  trace::TracerOptions all;
  all.ratio = 1;
  start_traced(all);
  EXPECT_FALSE(trace_of(ask("")).empty());
}

TEST_F(Tracing, ItsLatencyIsAnExemplar) {
  start_traced();
  (void)trace_of(ask(kSampled));
  const std::string text =
      HttpClient(port()).call("GET", "/metrics", "", "Accept: application/openmetrics-text\r\n").body;
  const std::string exemplar = " # {trace_id=\"" + std::string(kTrace) + "\"} ";
  for (const char* family : {"troupe_gateway_first_token_seconds", "troupe_gateway_request_seconds",
                             "vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"}) {
    bool shown = false;
    for (std::size_t at = text.find(std::string("\n") + family + "_bucket");
         at != std::string::npos && !shown; at = text.find(std::string("\n") + family + "_bucket", at + 1))
      shown = text.substr(at + 1, text.find('\n', at + 1) - at).find(exemplar) != std::string::npos;
    EXPECT_TRUE(shown) << family;
  }
}

TEST_F(Tracing, OffIsNoTracerAtAll) {
  start();
  const Answer answer = ask(kSampled);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(HttpClient(port()).call("GET", "/v1/requests/" + answer.header("x-request-id") + "/trace").status,
            404);
  EXPECT_EQ(HttpClient(port()).call("GET", "/v1/requests/nonsense/trace").status, 404);
}

}  // namespace
}  // namespace troupe::test
