// Files and batches through a whole edge: real HTTP, a real store, a scripted cluster.
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

#include "common/security/key_files.hpp"
#include "services/gateway/api_keys.hpp"
#include "services/gateway/batches/batch_store.hpp"
#include "services/gateway/batches/line_host.hpp"
#include "tests/services/gateway/edge_fixture.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::test {
namespace {

using gateway::GenerateJob;
using nlohmann::json;

json chat_line(const std::string& id, const json& more = json::object()) {
  json body = chat_body("Hi " + id);
  body["max_tokens"] = 20;
  body.update(more);
  return {{"custom_id", id}, {"method", "POST"}, {"url", "/v1/chat/completions"}, {"body", body}};
}

std::string chat_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += chat_line("id-" + std::to_string(i)).dump() + "\n";
  return text;
}

std::string form(const std::string& content, const std::string& filename = "in.jsonl",
                 const std::string& fields = {}) {
  return "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n" + fields +
         "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + filename + "\"\r\n\r\n" +
         content + "\r\n--b--\r\n";
}

std::string field(const std::string& name, const std::string& value) {
  return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

class BatchesEdge : public EdgeTest {
 protected:
  gateway::EdgeOptions options() const {
    gateway::EdgeOptions options;
    options.batches.folder = folder_ / "store";
    options.batches.runner.schedule.first_pause = std::chrono::milliseconds(1);
    options.batches.runner.schedule.longest_pause = std::chrono::milliseconds(2);
    return options;
  }
  Answer send_form(const std::string& body, const std::string& more = {}) {
    HttpClient client(port());
    client.send("POST /v1/files HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=b\r\n" +
                more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.read();
  }
  json upload(const std::string& content, const std::string& more = {}) {
    const Answer answer = send_form(form(content), more);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  json ask(std::string_view method, const std::string& path, int status = 200, const json& body = nullptr,
           const std::string& more = {}) {
    const Answer answer = HttpClient(port()).call(method, path, body.is_null() ? "" : body.dump(), more);
    EXPECT_EQ(answer.status, status) << path << ": " << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  json create(const std::string& content, const std::string& endpoint = "/v1/chat/completions") {
    return ask(
        "POST", "/v1/batches", 200,
        {{"input_file_id", upload(content)["id"]}, {"endpoint", endpoint}, {"completion_window", "24h"}});
  }
  json wait_for(const std::string& id, const std::set<std::string>& statuses) {
    for (int i = 0; i < 3000; ++i) {
      json batch = ask("GET", "/v1/batches/" + id);
      if (statuses.contains(batch["status"])) return batch;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "batch " << id << " does not become " << *statuses.begin();
    return {{"status", ""}, {"output_file_id", ""}, {"error_file_id", ""}};
  }
  std::vector<json> lines_of(const json& file_id) {
    const Answer answer =
        HttpClient(port()).call("GET", "/v1/files/" + file_id.get<std::string>() + "/content");
    EXPECT_EQ(answer.status, 200);
    std::vector<json> lines;
    for (std::size_t at = 0; at < answer.body.size();) {
      const auto end = answer.body.find('\n', at);
      lines.push_back(json::parse(answer.body.substr(at, end - at), nullptr, false));
      at = end + 1;
    }
    return lines;
  }
  SecretFolder folder_;
};

TEST_F(BatchesEdge, AFileComesAndGoes) {
  start(options());
  const json file = upload("line\n");
  EXPECT_EQ(file["object"], "file");
  EXPECT_EQ(file["bytes"], 5);
  EXPECT_EQ(file["filename"], "in.jsonl");
  EXPECT_EQ(file["purpose"], "batch");
  const std::string path = "/v1/files/" + file["id"].get<std::string>();
  EXPECT_EQ(ask("GET", path), file);
  EXPECT_EQ(HttpClient(port()).call("GET", path + "/content").body, "line\n");
  EXPECT_EQ(ask("GET", "/v1/files?limit=1")["data"][0], file);
  EXPECT_EQ(ask("GET", "/v1/files")["has_more"], false);
  EXPECT_TRUE(ask("GET", "/v1/files?purpose=batch_output")["data"].empty());
  EXPECT_EQ(ask("GET", path, 404, nullptr, "Authorization: Bearer other\r\n")["error"]["code"], "not_found");
  EXPECT_EQ(ask("DELETE", path)["deleted"], true);
  ask("GET", path, 404);
  ask("DELETE", path, 404);
  ask("GET", "/v1/files?limit=0", 400);
  ask("PUT", "/v1/files", 405);
  EXPECT_TRUE(HttpClient(port()).call("OPTIONS", path).has("Allow: GET, HEAD, DELETE, OPTIONS"));
}

TEST_F(BatchesEdge, AFileOfManyPiecesArrivesWholeAndIsNotInMemory) {
  gateway::EdgeOptions all = options();
  all.http.max_body_bytes = 100'000;  // of other paths
  start(std::move(all));
  std::string content;
  for (int i = 0; content.size() < (5U << 20); ++i) content += "line " + std::to_string(i) + "\n";
  const json file = upload(content);
  const std::string path = "/v1/files/" + file["id"].get<std::string>() + "/content";
  HttpClient client(port());
  EXPECT_EQ(client.call("GET", path).body, content);
  EXPECT_TRUE(client.call("HEAD", path).body.empty());
  EXPECT_EQ(client.call("GET", path).body, content) << "nothing was left over of the one before";
  const std::string body = form(content);
  client.send(
      "POST /v1/files HTTP/1.1\r\nHost: t\r\nContent-Type: multipart/form-data; boundary=b\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (std::size_t at = 0; at < body.size(); at += 100'000) {
    const std::string piece = body.substr(at, 100'000);
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    client.send(size + piece + "\r\n");
  }
  client.send("0\r\n\r\n");
  const Answer chunked = client.read();
  EXPECT_EQ(chunked.status, 200) << chunked.body;
  EXPECT_EQ(json::parse(chunked.body)["bytes"], content.size());
  EXPECT_EQ(client.call("POST", "/v1/batches", std::string(70'000, 'x')).status, 413);
}

TEST_F(BatchesEdge, RefusesFormsThatAreNoFile) {
  gateway::EdgeOptions all = options();
  all.batches.files = {1000, 2, 1500};
  start(std::move(all));
  const auto code = [&](const std::string& body) {
    return json::parse(send_form(body).body)["error"]["code"];
  };
  EXPECT_EQ(code("nonsense"), "malformed_multipart");
  EXPECT_EQ(code(form("x").substr(0, 100)), "malformed_multipart");
  EXPECT_EQ(code(field("purpose", "batch") + "--b--"), "missing_required_parameter");
  EXPECT_EQ(code(field("purpose", "vision") + "--b--"), "invalid_value");
  EXPECT_EQ(code(form("x", "a", field("colour", "red"))), "unknown_parameter");
  EXPECT_EQ(code(form("x", "\xff")), "invalid_value");
  EXPECT_EQ(code(form("x", "a",
                      field("expires_after[anchor]", "created_at") + field("expires_after[seconds]", "1"))),
            "invalid_value");
  EXPECT_EQ(send_form(form(std::string(1001, 'x'))).status, 413);
  EXPECT_EQ(ask("POST", "/v1/files", 400)["error"]["code"], "malformed_multipart");
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "store" / "files")) << "nothing is left of them";
  const Answer kept =
      send_form(form("x", "../../up",
                     field("expires_after[anchor]", "created_at") + field("expires_after[seconds]", "3600")));
  ASSERT_EQ(kept.status, 200) << kept.body;
  const json file = json::parse(kept.body);
  EXPECT_EQ(file["filename"], "../../up");
  EXPECT_EQ(file["expires_at"], file["created_at"].get<int>() + 3600);
  upload(std::string(900, 'x'));
  EXPECT_EQ(code(form("x")), "file_quota_exceeded") << "two files are as many as there may be";
  ask("DELETE", "/v1/files/" + file["id"].get<std::string>());
  EXPECT_EQ(code(form(std::string(700, 'x'))), "file_quota_exceeded") << "bytes";
  EXPECT_EQ(send_form(form(std::string(600, 'x'))).status, 200);
}

TEST_F(BatchesEdge, EveryLineIsAnsweredOnce) {
  start(options());
  const json begun = create(chat_lines(40));
  EXPECT_EQ(begun["status"], "validating");
  const json batch = wait_for(begun["id"], {"completed"});
  EXPECT_EQ(batch["request_counts"], json({{"total", 40}, {"completed", 40}, {"failed", 0}}));
  EXPECT_EQ(batch["error_file_id"], nullptr);
  EXPECT_GT(batch["usage"]["output_tokens"], 40);
  const auto lines = lines_of(batch["output_file_id"]);
  ASSERT_EQ(lines.size(), 40u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["custom_id"], "id-" + std::to_string(i)) << "in the order of the input";
    EXPECT_EQ(lines[i]["response"]["status_code"], 200);
    EXPECT_EQ(lines[i]["response"]["body"]["choices"][0]["message"]["content"], "Hello world");
  }
  for (const GenerateJob& job : dispatcher_.seen()) EXPECT_EQ(job.priority, gateway::kBatchPriority);
  const std::string path = "/v1/files/" + batch["output_file_id"].get<std::string>();
  EXPECT_EQ(ask("GET", path)["purpose"], "batch_output");
  EXPECT_EQ(ask("GET", "/v1/batches?limit=1")["data"][0]["id"], batch["id"]);
  const std::string metrics = HttpClient(port()).call("GET", "/metrics").body;
  EXPECT_NE(metrics.find("troupe_gateway_batch_lines_total{outcome=\"completed\"} 40"), std::string::npos);
  EXPECT_NE(metrics.find("troupe_gateway_batch_open_lines{state=\"waiting\"} 0"), std::string::npos);
}

TEST_F(BatchesEdge, WhatALineIsRefusedIsInTheErrorFile) {
  start(options());
  std::string text = chat_line("good").dump() + "\n";
  text += chat_line("hot", {{"temperature", 99}}).dump() + "\n";
  text += chat_line("stream", {{"stream", true}}).dump() + "\n";
  const json batch = wait_for(create(text)["id"], {"completed"});
  EXPECT_EQ(batch["request_counts"], json({{"total", 3}, {"completed", 1}, {"failed", 2}}));
  EXPECT_EQ(lines_of(batch["output_file_id"]).size(), 1u);
  const auto errors = lines_of(batch["error_file_id"]);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0]["custom_id"], "hot");
  EXPECT_EQ(errors[0]["response"]["status_code"], 400);
  EXPECT_EQ(errors[0]["response"]["body"]["error"]["param"], "temperature");
  EXPECT_EQ(errors[1]["response"]["body"]["error"]["param"], "stream");
}

TEST_F(BatchesEdge, AWrongInputFailsTheBatchAndNothingRuns) {
  start(options());
  const json batch =
      wait_for(create(chat_line("a").dump() + "\n{\n" + chat_line("a").dump())["id"], {"failed"});
  EXPECT_EQ(batch["errors"]["data"][0]["code"], "invalid_json_line");
  EXPECT_EQ(batch["errors"]["data"][0]["line"], 2);
  EXPECT_EQ(batch["errors"]["data"][1]["code"], "duplicate_custom_id");
  EXPECT_TRUE(dispatcher_.seen().empty());
  EXPECT_EQ(batch["output_file_id"], nullptr);
}

TEST_F(BatchesEdge, RefusesBatchesThatAreNone) {
  start(options());
  const json file = upload(chat_lines(1));
  const json good = {
      {"input_file_id", file["id"]}, {"endpoint", "/v1/chat/completions"}, {"completion_window", "24h"}};
  const auto param = [&](const std::string& key, const json& value) {
    json body = good;
    value.is_null() ? void(body.erase(key)) : void(body[key] = value);
    return ask("POST", "/v1/batches", 400, body)["error"]["param"];
  };
  for (const char* key : {"input_file_id", "endpoint", "completion_window"}) {
    EXPECT_EQ(param(key, nullptr), key);
    EXPECT_EQ(param(key, 7), key);
    EXPECT_EQ(param(key, "other"), key);
  }
  EXPECT_EQ(param("endpoint", "/v1/embeddings"), "endpoint") << "there is no such endpoint";
  EXPECT_EQ(param("metadata", {{"a", 1}}), "metadata");
  EXPECT_EQ(param("metadata", {{std::string(65, 'a'), "b"}}), "metadata");
  EXPECT_EQ(param("surprise", true), "surprise");
  EXPECT_EQ(param("output_expires_after", {{"anchor", "created_at"}, {"seconds", 1}}),
            "output_expires_after.seconds");
  ask("GET", "/v1/batches/batch_0", 404);
  ask("POST", "/v1/batches/batch_0/cancel", 404);
  ask("GET", "/v1/batches/batch_0/cancel", 405);
  json named = good;
  named["metadata"] = {{"k", "v"}};
  EXPECT_EQ(ask("POST", "/v1/batches", 200, named)["metadata"], json({{"k", "v"}}));
}

TEST_F(BatchesEdge, ALineThatTheClusterRefusesRunsAgain) {
  std::atomic<int> asked = 0;
  dispatcher_.set_script([&](const GenerateJob& job) {
    ScriptedAnswer answer;
    const int count = ++asked;
    if (count % 3 == 1) answer.error_at_start = Error{Errc::queue_full, "no place"};
    if (count % 3 == 2) answer.error_before_tokens = Error{Errc::no_ready_worker, "nobody"};
    auto tokens = byte_tokens("ok");
    tokens.push_back({job.stop_tokens.back(), -0.25f, {}});
    answer.choices.assign(1, tokens);
    return answer;
  });
  start(options());
  const json batch = wait_for(create(chat_lines(10))["id"], {"completed"});
  EXPECT_EQ(batch["request_counts"]["completed"], 10);
  EXPECT_GT(asked, 10);
}

TEST_F(BatchesEdge, CancelKeepsWhatWasAnswered) {
  dispatcher_.set_manual();
  gateway::EdgeOptions all = options();
  all.batches.runner.schedule.most_running = 2;
  start(std::move(all));
  const json begun = create(chat_lines(5));
  OpenJob first = dispatcher_.next_job(), second = dispatcher_.next_job();
  ASSERT_TRUE(first.sink && second.sink);
  first.sink->on_start({});
  auto tokens = byte_tokens("yes");
  tokens.push_back({first.job.stop_tokens.back(), -0.25f, {}});
  first.sink->on_tokens(0, tokens, FinishReason::stop);
  first.sink->on_done();
  OpenJob third = dispatcher_.next_job();
  ASSERT_TRUE(third.sink) << "its place was taken";
  const std::string file = "/v1/files/" + begun["input_file_id"].get<std::string>();
  EXPECT_EQ(ask("DELETE", file, 409)["error"]["code"], "file_in_use");
  const std::string path = "/v1/batches/" + begun["id"].get<std::string>();
  EXPECT_EQ(ask("POST", path + "/cancel")["status"], "cancelling");
  ASSERT_TRUE(dispatcher_.wait_for_cancels(2));
  const json batch = wait_for(begun["id"], {"cancelled"});
  EXPECT_EQ(batch["request_counts"], json({{"total", 5}, {"completed", 1}, {"failed", 0}}));
  EXPECT_EQ(lines_of(batch["output_file_id"]).size(), 1u);
  EXPECT_EQ(batch["error_file_id"], nullptr);
  ask("DELETE", file);
}

TEST_F(BatchesEdge, GoesOnAfterARestartWithTheLinesThatHaveNoResult) {
  std::string id;
  {
    dispatcher_.set_manual();
    gateway::EdgeOptions all = options();
    all.batches.runner.schedule.most_running = 3;
    start(std::move(all));
    id = create(chat_lines(6))["id"].get<std::string>();
    std::vector<OpenJob> jobs;
    for (int i = 0; i < 3; ++i) jobs.push_back(dispatcher_.next_job());
    ASSERT_TRUE(jobs[0].sink && jobs[2].sink);
    jobs[0].sink->on_start({});
    auto tokens = byte_tokens("before");
    tokens.push_back({jobs[0].job.stop_tokens.back(), -0.25f, {}});
    jobs[0].sink->on_tokens(0, tokens, FinishReason::stop);
    jobs[0].sink->on_done();
    jobs.push_back(dispatcher_.next_job());
    ASSERT_TRUE(jobs[3].sink) << "the first has its result";
    edge_->begin_drain();
    EXPECT_TRUE(edge_->stop(std::chrono::seconds(5))) << "lines hold no drain up";
    jobs.clear();
    edge_.reset();
  }
  EXPECT_EQ(dispatcher_.cancels(), 3u);
  answer_with("after");
  start(options());
  const json batch = wait_for(id, {"completed"});
  EXPECT_EQ(batch["request_counts"]["completed"], 6);
  std::multiset<std::string> ids, texts;
  for (const json& line : lines_of(batch["output_file_id"])) {
    ids.insert(line["custom_id"].get<std::string>());
    texts.insert(line["response"]["body"]["choices"][0]["message"]["content"].get<std::string>());
  }
  EXPECT_EQ(ids, (std::multiset<std::string>{"id-0", "id-1", "id-2", "id-3", "id-4", "id-5"}));
  EXPECT_EQ(texts.count("before"), 1u);
  EXPECT_EQ(texts.count("after"), 5u);
}

TEST_F(BatchesEdge, LinesRunInTheNameOfTheirKeyAsLongAsThereIsOne) {
  const std::string file = (folder_ / "keys.yaml").string();
  const auto write_keys = [&](const std::string& name) {
    gateway::ApiKey key;
    key.name = name;
    key.tenant = "team";
    key.hash = security::sha256("sk-" + name);
    key.models = {"small"};
    key.rates.tokens_per_minute = 10;
    ASSERT_TRUE(security::replace_file(file, "keys:\n" + entry_text(key)));
  };
  write_keys("anna");
  dispatcher_.set_manual();
  gateway::EdgeOptions all = options();
  all.batches.runner.schedule.most_running = 1;
  all.api_keys = file;
  start(std::move(all));
  const std::string anna = "Authorization: Bearer sk-anna\r\n";
  EXPECT_EQ(send_form(form("x")).status, 401);
  const json input = upload(chat_lines(3), anna);
  const json asked = {
      {"input_file_id", input["id"]}, {"endpoint", "/v1/chat/completions"}, {"completion_window", "24h"}};
  const std::string path =
      "/v1/batches/" + ask("POST", "/v1/batches", 200, asked, anna)["id"].get<std::string>();
  const OpenJob first = dispatcher_.next_job();
  ASSERT_TRUE(first.sink) << "more tokens than the key may ask for in a minute";
  EXPECT_EQ(first.job.tenant, "team");
  write_keys("ben");
  edge_->refresh();
  first.sink->on_start({});
  auto tokens = byte_tokens("yes");
  tokens.push_back({first.job.stop_tokens.back(), -0.25f, {}});
  first.sink->on_tokens(0, tokens, FinishReason::stop);
  first.sink->on_done();
  const auto failed = [&] {
    const std::string metrics = HttpClient(port()).call("GET", "/metrics").body;
    return metrics.find("troupe_gateway_batch_lines_total{outcome=\"failed\"} 2") != std::string::npos;
  };
  for (int i = 0; i < 3000 && !failed(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  write_keys("anna");
  edge_->refresh();
  const json batch = ask("GET", path, 200, nullptr, anna);
  EXPECT_EQ(batch["request_counts"], json({{"total", 3}, {"completed", 1}, {"failed", 2}}));
}

TEST_F(BatchesEdge, LinesThatShareAPrefixRunTogether) {
  const std::string one(64, 'a'), two(64, 'b');
  std::string text;
  for (int i = 0; i < 8; ++i)
    text += json{{"custom_id", std::to_string(i)},
                 {"method", "POST"},
                 {"url", "/v1/completions"},
                 {"body",
                  {{"model", "small"},
                   {"prompt", (i % 2 == 0 ? one : two) + std::to_string(i)},
                   {"max_tokens", 4}}}}
                .dump() +
            "\n";
  start(options());
  wait_for(create(text, "/v1/completions")["id"], {"completed"});
  const auto seen = dispatcher_.seen();
  ASSERT_EQ(seen.size(), 8u);
  int changes = 0;
  for (std::size_t i = 1; i < seen.size(); ++i) changes += seen[i].prompt[32] != seen[i - 1].prompt[32];
  EXPECT_EQ(changes, 1);
}

TEST_F(BatchesEdge, WithoutAFolderThereIsNothing) {
  start();
  EXPECT_EQ(ask("GET", "/v1/files", 501)["error"]["code"], "not_implemented");
  EXPECT_EQ(send_form(form("x")).status, 501);
  ask("POST", "/v1/batches", 501, json::object());
}

TEST_F(BatchesEdge, AFolderThatAnotherHasIsRefusedOrWaitedFor) {
  auto other = gateway::BatchStore::open(folder_ / "store");
  ASSERT_TRUE(other);
  gateway::EdgeOptions named = options();
  named.batches.required = true;
  named.http.port = 0;
  const auto refused = gateway::Edge::start(named, gateway::ModelTable(), dispatcher_, registry_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("another gateway's"), std::string::npos);
  start(options());
  EXPECT_EQ(ask("GET", "/v1/files", 503)["error"]["code"], "batch_store_unavailable");
  { const auto gone = std::move(*other); }
  ask("GET", "/v1/files");
}

}  // namespace
}  // namespace troupe::test
