// API keys, limits, the admin port and the audit log through a real edge.
#include <algorithm>

#include "common/security/key_files.hpp"
#include "services/gateway/api_keys.hpp"
#include "tests/services/gateway/edge_fixture.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::test {
namespace {

using gateway::ApiKey;
using nlohmann::json;

constexpr const char* kChat = "/v1/chat/completions";

ApiKey named(const std::string& name) {
  ApiKey key;
  key.name = key.tenant = name;
  key.hash = security::sha256("sk-" + name);
  return key;
}

/// The header by which the key of this name is shown.
std::string as(const std::string& name) {
  return "Authorization: Bearer sk-" + name + "\r\n";
}

class ApiKeysEdge : public EdgeTest {
 protected:
  void open(const std::vector<ApiKey>& keys) {
    gateway::EdgeOptions options;
    open(keys, std::move(options));
  }
  void open(const std::vector<ApiKey>& keys, gateway::EdgeOptions options) {
    write(keys);
    options.api_keys = file_;
    options.config_json = [] { return std::string("{}"); };
    start(std::move(options));
  }
  void write(const std::vector<ApiKey>& keys) {
    std::string text = "keys:\n";
    for (const ApiKey& key : keys) text += entry_text(key);
    ASSERT_TRUE(security::replace_file(file_, text));
  }
  Answer get(std::string_view path, const std::string& headers = {}) {
    return HttpClient(port()).call("GET", path, "", headers);
  }
  Answer chat(const std::string& headers, json more = json::object()) {
    json body = chat_body("a secret prompt");
    body.update(more);
    return post(kChat, body.dump(), headers);
  }
  static std::string code(const Answer& answer) { return json::parse(answer.body)["error"]["code"]; }

  SecretFolder folder_;
  std::string file_ = (folder_ / "keys.yaml").string();
};

TEST_F(ApiKeysEdge, NobodyComesInWithoutAKey) {
  open({named("alice")});
  for (const std::string& headers : {std::string(), as("stranger"), std::string("x-api-key: alice\r\n")}) {
    const Answer refused = chat(headers);
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(code(refused), "invalid_api_key");
    EXPECT_TRUE(refused.header("WWW-Authenticate").starts_with("Bearer")) << refused.head;
    EXPECT_EQ(get("/v1/models", headers).status, 401);
    EXPECT_EQ(get("/v1/models/small", headers).status, 401);
    EXPECT_EQ(get("/v1/requests/00000000000000000000000000000001/trace", headers).status, 401);
    EXPECT_EQ(get("/v1/requests/00000000000000000000000000000001/events", headers).status, 401);
    for (const char* path : {"/", "/config", "/state", "/events/cluster", "/techniques", "/web/app.js"})
      EXPECT_EQ(get(path, headers).status, 401) << path;
    EXPECT_EQ(post("/cluster/workers/w/drain", "{}", headers).status, 401);
  }
  EXPECT_TRUE(dispatcher_.seen().empty());
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) EXPECT_EQ(get(path).status, 200) << path;
  EXPECT_EQ(HttpClient(port()).call("OPTIONS", kChat).status, 204) << "browsers ask without a key";
  EXPECT_NE(get("/metrics").body.find("troupe_gateway_refused_requests_total{reason=\"key\"} 36"),
            std::string::npos)
      << get("/metrics").body;
  EXPECT_EQ(chat(as("alice")).status, 200);
  EXPECT_EQ(chat("x-api-key: sk-alice\r\n").status, 200);
}

TEST_F(ApiKeysEdge, AKeyOpensItsOwnDoorsAndNoOthers) {
  ApiKey admin = named("admin");
  admin.admin = true;
  admin.inference = false;
  open({named("user"), admin});
  EXPECT_EQ(chat(as("admin")).status, 403);
  EXPECT_EQ(get("/config", as("admin")).status, 200);
  EXPECT_EQ(get("/", as("admin")).status, 200);
  EXPECT_EQ(get("/config", "Authorization: Basic bWU6c2stYWRtaW4=\r\n").status, 200)
      << "as a browser shows it";
  const Answer refused = get("/config", as("user"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(code(refused), "insufficient_permissions");
  EXPECT_NE(refused.header("WWW-Authenticate").find("scope=\"admin\""), std::string::npos);
  EXPECT_EQ(post("/cluster/workers/w/drain", "{}", as("user")).status, 403);
  EXPECT_NE(post("/cluster/workers/w/drain", "{}", as("admin")).status, 401);
}

TEST_F(ApiKeysEdge, AModelThatAKeyMayNotUseIsNoneForIt) {
  ApiKey key = named("alice");
  key.models = {"small"};
  open({key, named("bob")});
  const json list = json::parse(get("/v1/models", as("alice")).body);
  ASSERT_EQ(list["data"].size(), 1u);
  EXPECT_EQ(list["data"][0]["id"], "small");
  EXPECT_EQ(get("/v1/models/raw", as("alice")).status, 404);
  const Answer refused = post("/v1/completions", R"({"model":"raw","prompt":"x"})", as("alice"));
  const Answer missing = post("/v1/completions", R"({"model":"none","prompt":"x"})", as("alice"));
  EXPECT_EQ(refused.status, 404);
  EXPECT_EQ(code(refused), "model_not_found");
  EXPECT_EQ(json::parse(missing.body)["error"]["message"], "there is no model 'none'; served: small");
  EXPECT_EQ(json::parse(refused.body)["error"]["message"], "there is no model 'raw'; served: small");
  EXPECT_EQ(post("/tokenize", R"({"model":"raw","prompt":"x"})", as("alice")).status, 404);
  EXPECT_EQ(post("/v1/completions", R"({"model":"raw","prompt":"x"})", as("bob")).status, 200);
}

TEST_F(ApiKeysEdge, RequestsBelongToTheirKeysTenant) {
  ApiKey alice = named("alice"), bob = named("bob");
  alice.tenant = bob.tenant = "team";
  open({alice, bob, named("carol")});
  for (const char* name : {"alice", "bob", "carol"}) EXPECT_EQ(chat(as(name)).status, 200);
  const auto seen = dispatcher_.seen();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].tenant, "team");
  EXPECT_EQ(seen[1].tenant, "team");
  EXPECT_EQ(seen[2].tenant, "carol");
}

TEST_F(ApiKeysEdge, RequestsPerMinuteAreExactAndTold) {
  ApiKey key = named("alice");
  key.rates.requests_per_minute = 4;  // one more after 15 s: more than this test takes
  open({key, named("bob")});
  EXPECT_EQ(chat(as("alice")).header("x-ratelimit-remaining-requests"), "3");
  const Answer streamed = chat(as("alice"), {{"stream", true}});
  EXPECT_TRUE(streamed.whole);
  EXPECT_EQ(streamed.header("x-ratelimit-limit-requests"), "4") << streamed.head;
  EXPECT_EQ(chat(as("alice"), {{"model", "none"}}).status, 404) << "counts as well";
  EXPECT_EQ(post("/tokenize", R"({"model":"small","prompt":"x"})", as("alice")).status, 200);
  const Answer refused = chat(as("alice"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(code(refused), "rate_limit_exceeded");
  EXPECT_EQ(json::parse(refused.body)["error"]["type"], "rate_limit_error");
  EXPECT_EQ(refused.header("x-ratelimit-remaining-requests"), "0");
  EXPECT_GE(std::stoi(refused.header("Retry-After")), 1);
  EXPECT_LE(std::stoi(refused.header("Retry-After")), 15);
  EXPECT_EQ(get("/v1/models", as("alice")).status, 200) << "looking costs nothing";
  EXPECT_EQ(chat(as("bob")).status, 200) << "a limit is a key's own";
  EXPECT_EQ(chat(as("bob")).header("x-ratelimit-limit-requests"), "");
}

TEST_F(ApiKeysEdge, TokensOfPromptAndAnswerArePaidFor) {
  ApiKey key = named("alice");
  key.rates.tokens_per_minute = 60;
  open({key});
  answer_with("Hello");
  const auto complete = [&](int max_tokens) {
    return post(
        "/v1/completions",
        json({{"model", "small"}, {"prompt", std::vector<int>(20, 65)}, {"max_tokens", max_tokens}}).dump(),
        as("alice"));
  };
  const Answer never = complete(41);
  EXPECT_EQ(never.status, 429);
  EXPECT_EQ(never.header("x-should-retry"), "false");
  EXPECT_EQ(never.header("Retry-After"), "");
  const Answer first = complete(40);
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.header("x-ratelimit-limit-tokens"), "60");
  EXPECT_EQ(first.header("x-ratelimit-remaining-tokens"), "0") << "prompt and longest answer";
  // 26 were used, "Hello" and its end among them, so that a few more fit than what would be left without
  // settling.
  const Answer second = complete(10);
  EXPECT_EQ(second.status, 200) << second.body;
  const Answer third = complete(10);
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(code(third), "rate_limit_exceeded");
  EXPECT_NE(get("/metrics").body.find("troupe_gateway_refused_requests_total{reason=\"tokens\"} 2"),
            std::string::npos);
}

TEST_F(ApiKeysEdge, VectorsAreHeldToTheSameDoorsAndLimits) {
  ApiKey key = named("alice");
  key.rates.tokens_per_minute = 30;
  key.models = {"small"};
  open({key});
  dispatcher_.set_script([](const gateway::GenerateJob&) {
    ScriptedAnswer answer;
    answer.vector = {1, 0};
    return answer;
  });
  const auto embed = [&](const std::string& model, std::size_t tokens, const std::string& headers) {
    return post("/v1/embeddings", json({{"model", model}, {"input", std::vector<int>(tokens, 65)}}).dump(), headers);
  };
  EXPECT_EQ(embed("small", 5, "").status, 401);
  EXPECT_EQ(post("/v1/rerank", "{}").status, 401);
  EXPECT_EQ(post("/v1/score", "{}").status, 401);
  EXPECT_EQ(embed("raw", 5, as("alice")).status, 404) << "a model that it may not use is none";
  const Answer first = embed("small", 20, as("alice"));
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.header("x-ratelimit-remaining-tokens"), "10");
  EXPECT_EQ(embed("small", 20, as("alice")).status, 429);
  EXPECT_EQ(dispatcher_.seen().size(), 1u);
}

TEST_F(ApiKeysEdge, RequestsAtATimeEndWithTheirAnswerOrTheirClient) {
  ApiKey key = named("alice");
  key.rates.concurrent_requests = 1;
  open({key});
  dispatcher_.set_manual();
  HttpClient first(port());
  first.request("POST", kChat, chat_body().dump(), as("alice"));
  const OpenJob job = dispatcher_.next_job();
  ASSERT_TRUE(job.sink);
  EXPECT_EQ(chat(as("alice")).status, 429);
  job.sink->on_start({});
  job.sink->on_tokens(0, byte_tokens("x"), FinishReason::length);
  job.sink->on_done({});
  EXPECT_EQ(first.read().status, 200);
  HttpClient second(port());
  second.request("POST", kChat, chat_body().dump(), as("alice"));
  const OpenJob other = dispatcher_.next_job();
  ASSERT_TRUE(other.sink) << "whoever has its answer has its place again";
  second.close();
  ASSERT_TRUE(dispatcher_.wait_for_cancels(1));
  answer_with("x");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (chat(as("alice")).status != 200 && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_EQ(chat(as("alice")).status, 200);
}

TEST_F(ApiKeysEdge, RefreshTakesAChangedFile) {
  open({named("alice")});
  write({named("bob")});
  edge_->refresh();
  EXPECT_EQ(chat(as("alice")).status, 401);
  EXPECT_EQ(chat(as("bob")).status, 200);
}

TEST_F(ApiKeysEdge, AnAdminPortAloneShowsTheCluster) {
  gateway::EdgeOptions options;
  options.admin.emplace();
  open({named("alice")}, std::move(options));
  ASSERT_TRUE(edge_->admin_port());
  for (const char* path :
       {"/", "/config", "/state", "/events/cluster", "/techniques", "/benchmarks", "/web/app.js"}) {
    EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_EQ(HttpClient(*edge_->admin_port()).call("GET", path).status, 401) << path;
  }
  EXPECT_EQ(post("/cluster/workers/w/drain", "{}").status, 404);
  EXPECT_EQ(HttpClient(*edge_->admin_port()).call("POST", "/cluster/workers/w/drain", "{}").status, 401);
  EXPECT_EQ(HttpClient(*edge_->admin_port()).call("POST", kChat, chat_body().dump(), as("alice")).status,
            200);
  EXPECT_EQ(HttpClient(*edge_->admin_port()).call("GET", "/healthz").status, 200);
}

TEST_F(ApiKeysEdge, AnAdminPortWorksWithoutKeys) {
  gateway::EdgeOptions options;
  options.admin.emplace();
  start(std::move(options));
  EXPECT_EQ(get("/state").status, 404);
  EXPECT_EQ(HttpClient(*edge_->admin_port()).call("GET", "/state").status, 200);
  EXPECT_EQ(chat("").status, 200);
}

TEST_F(ApiKeysEdge, TheAuditLogSaysWhoAskedAndNotWhat) {
  gateway::EdgeOptions options;
  options.audit.target = (folder_ / "audit").string();
  ApiKey admin = named("admin");
  admin.admin = true;
  open({named("alice"), admin}, std::move(options));
  const std::string id = chat(as("alice")).header("x-request-id");
  EXPECT_EQ(chat(as("alice"), {{"stream", true}}).status, 200);
  EXPECT_EQ(chat(as("stranger")).status, 401);
  EXPECT_EQ(get("/state", as("admin")).status, 200);
  EXPECT_NE(post("/cluster/workers/w%201/drain", "{}", as("admin")).status, 200);
  EXPECT_EQ(get("/healthz").status, 200);
  std::string text;  // written by a thread of its own
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::ranges::count(text, '\n') < 4 && std::chrono::steady_clock::now() < until)
    text = text_of_file(folder_ / "audit");
  std::vector<json> lines;
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(json::parse(text.substr(at, end - at)));
  ASSERT_EQ(lines.size(), 4u) << text;
  EXPECT_EQ(lines[0]["request"], id);
  EXPECT_EQ(lines[0]["key"], "alice");
  EXPECT_EQ(lines[0]["route"], "chat_completions");
  EXPECT_EQ(lines[0]["model"], "small");
  EXPECT_EQ(lines[0]["status"], 200);
  EXPECT_EQ(lines[0]["completion_tokens"], 12);
  EXPECT_GT(lines[0]["prompt_tokens"], 0);
  EXPECT_EQ(lines[1]["completion_tokens"], 12) << "a stream as well";
  EXPECT_EQ(lines[2]["key"], "");
  EXPECT_EQ(lines[2]["status"], 401);
  EXPECT_EQ(lines[3]["key"], "admin");
  EXPECT_EQ(lines[3]["route"], "orders");
  EXPECT_EQ(lines[3]["target"], "/cluster/workers/w%201/drain");
  for (const char* never : {"secret prompt", "Hello", "sk-"})
    EXPECT_EQ(text.find(never), std::string::npos) << never;
}

TEST_F(ApiKeysEdge, PathsWithoutTextsTakeSmallBodies) {
  start();
  const std::string large(100'000, ' ');
  EXPECT_EQ(post("/cluster/workers/w/drain", large).status, 413);
  EXPECT_EQ(post("/nowhere", large).status, 413);
  EXPECT_EQ(post("/tokenize", R"({"model":"small","prompt":"x"})" + large).status, 200);
}

TEST_F(ApiKeysEdge, LongTextsOfStrangersAreNotRead) {
  open({named("alice")});
  HttpClient stranger(port());
  stranger.send("POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n");
  const Answer refused = stranger.read();  // before a byte of the body was sent
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(code(refused), "invalid_api_key");
  EXPECT_TRUE(refused.header("WWW-Authenticate").starts_with("Bearer"));
  EXPECT_TRUE(stranger.closed_by_peer());
  HttpClient chunked(port());
  chunked.send("POST /tokenize HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + std::string(0x20000, ' '));
  EXPECT_EQ(chunked.read().status, 401);
  const std::string large = R"({"model":"small","prompt":"x"})" + std::string(100'000, ' ');
  EXPECT_EQ(post("/tokenize", large, as("alice")).status, 200);
}

TEST_F(ApiKeysEdge, AKeyFileThatIsWrongDoesNotStart) {
  gateway::EdgeOptions options;
  options.api_keys = file_;
  options.http.port = 0;
  const auto edge = gateway::Edge::start(std::move(options), gateway::ModelTable(), dispatcher_, registry_);
  ASSERT_FALSE(edge);
  EXPECT_EQ(edge.error().code, Errc::file_not_found);
}

}  // namespace
}  // namespace troupe::test
