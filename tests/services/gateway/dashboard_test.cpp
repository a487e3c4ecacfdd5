// The dashboard's paths through a real edge.
#include "services/gateway/dashboard.hpp"

#include <filesystem>
#include <fstream>

#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using gateway::Operations;
using nlohmann::json;

struct ScriptedConsole final : gateway::ClusterConsole {
  void watch() override {}
  std::shared_ptr<const gateway::ClusterPicture> picture() const override { return picture_; }
  Expected<void> operate(const std::string& worker, wire::Operation operation) override {
    const std::lock_guard lock(mutex);
    if (worker == "nobody") return fail(Errc::not_found, "no such worker");
    orders.emplace_back(worker, operation);
    return {};
  }
  std::shared_ptr<const gateway::ClusterPicture> picture_ = std::make_shared<gateway::ClusterPicture>();
  std::mutex mutex;
  std::vector<std::pair<std::string, wire::Operation>> orders;
};

class DashboardTest : public EdgeTest {
 protected:
  void open(Operations operations, std::string benchmarks = {}) {
    gateway::EdgeOptions options;
    options.dashboard = {&console_, operations, false, std::move(benchmarks)};
    start(std::move(options));
  }
  Answer get(std::string_view path) { return HttpClient(port()).call("GET", path); }
  Answer order(std::string_view what, std::string_view headers = {}) {
    return HttpClient(port()).call("POST", "/cluster/workers/" + std::string(what), "{}", headers);
  }
  ScriptedConsole console_;
};

TEST_F(DashboardTest, ServesItsFilesAndNoOthers) {
  open(Operations::none);
  EXPECT_TRUE(get("/").header("Content-Type").starts_with("text/html"));
  EXPECT_TRUE(get("/web/app.js").header("Content-Type").starts_with("text/javascript"));
  EXPECT_EQ(get("/favicon.ico").header("Content-Type"), "image/svg+xml");
  EXPECT_EQ(get("/web/../state").status, 404);
  EXPECT_EQ(get("/web/").status, 404);
  EXPECT_EQ(HttpClient(port()).call("POST", "/web/app.js", "{}").status, 405);
  HttpClient client(port());
  const std::string tag = client.call("GET", "/").header("ETag");
  EXPECT_EQ(client.call("GET", "/", "", "If-None-Match: " + tag + "\r\n").status, 304);
  EXPECT_EQ(client.call("GET", "/healthz").status, 200) << "the connection goes on after a 304";
}

TEST_F(DashboardTest, EventsFollowARequest) {
  open(Operations::drain);
  HttpClient page(port());
  page.request("GET", "/events/cluster");
  ASSERT_TRUE(page.wait_for("event: hello"));
  EXPECT_TRUE(page.wait_for("\"operations\":\"drain\""));
  post_json("/v1/chat/completions", chat_body());
  ASSERT_TRUE(page.wait_for("event: requests"));
  ASSERT_TRUE(page.wait_for(",200]]")) << "it has ended well";
}

TEST_F(DashboardTest, AnOpenPageDoesNotHoldADrainUp) {
  open(Operations::none);
  HttpClient page(port());
  page.request("GET", "/events/cluster");
  ASSERT_TRUE(page.wait_for("event: hello"));
  edge_->begin_drain();
  EXPECT_TRUE(edge_->stop(std::chrono::seconds(20)));
  EXPECT_TRUE(page.closed_by_peer());
}

TEST_F(DashboardTest, OrdersGoToTheWorkerThatIsNamed) {
  open(Operations::drain);
  EXPECT_EQ(order("decode-0/drain").status, 202);
  EXPECT_EQ(order("decode%40tcp%3A%2F%2Fhost%3A1/undrain").status, 202);
  ASSERT_EQ(console_.orders.size(), 2u);
  EXPECT_EQ(console_.orders[0],
            (std::pair<std::string, wire::Operation>{"decode-0", wire::Operation::drain}));
  EXPECT_EQ(console_.orders[1].first, "decode@tcp://host:1");
  EXPECT_EQ(order("nobody/drain").status, 404);
  EXPECT_EQ(order("decode-0/explode").status, 404);
  EXPECT_EQ(order("drain").status, 404);
  EXPECT_EQ(get("/cluster/workers/decode-0/drain").status, 405) << "looking changes nothing";
}

TEST_F(DashboardTest, OrdersBeyondWhatTheOptionAllowsAreRefused) {
  open(Operations::drain);
  EXPECT_EQ(order("decode-0/kill").status, 403);
  EXPECT_TRUE(console_.orders.empty());
}

TEST_F(DashboardTest, KillIsAllowedByOption) {
  open(Operations::kill);
  EXPECT_EQ(order("decode-0/kill").status, 202);
  EXPECT_EQ(order("decode-0/drain").status, 202);
}

TEST_F(DashboardTest, NoOrdersWithoutTheOption) {
  open(Operations::none);
  EXPECT_EQ(order("decode-0/drain").status, 403);
}

TEST_F(DashboardTest, PagesOfOtherSitesGiveNoOrders) {
  open(Operations::drain);
  EXPECT_EQ(order("decode-0/drain", "Origin: http://elsewhere.example\r\n").status, 403);
  EXPECT_EQ(order("decode-0/drain", "Origin: null\r\n").status, 403);
  EXPECT_EQ(order("decode-0/drain", "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(order("decode-0/drain", "Origin: http://t\r\nSec-Fetch-Site: same-origin\r\n").status, 202);
  EXPECT_EQ(console_.orders.size(), 1u);
}

TEST(Dashboard, OnLoopbackANameOfAnotherHostIsNotBelieved) {
  gateway::Request request;
  request.headers = {{"Host", "attacker.example:8080"}, {"Origin", "http://attacker.example:8080"}};
  EXPECT_TRUE(gateway::is_cross_site(request, true)) << "a name that was made to point here";
  EXPECT_FALSE(gateway::is_cross_site(request, false));
  for (const char* host : {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}) {
    request.headers = {{"Host", host}, {"Origin", std::string("http://") + host}};
    EXPECT_FALSE(gateway::is_cross_site(request, true)) << host;
  }
}

TEST_F(DashboardTest, TechniquesAreTheRegistry) {
  open(Operations::none);
  const json list = json::parse(get("/techniques").body)["techniques"];
  ASSERT_GT(list.size(), 5u);
  for (const json& each : list) {
    EXPECT_FALSE(each["name"].get<std::string>().empty());
    EXPECT_TRUE(each["class"] == "exact" || each["class"] == "law" || each["class"] == "lossy");
    EXPECT_TRUE(each.contains("request"));
  }
}

TEST_F(DashboardTest, RecordedRunsAreThoseOfTheFolderAndNoNameLeadsOut) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "troupe_dashboard_runs";
  std::filesystem::create_directories(folder / "sub.json");
  std::ofstream(folder / "a.json") << R"({"run":1})";
  std::ofstream(folder / "b.txt") << "no";
  open(Operations::none, folder.string());
  EXPECT_EQ(json::parse(get("/benchmarks").body)["runs"], json({"a.json"}));
  EXPECT_EQ(json::parse(get("/benchmarks/a.json").body)["run"], 1);
  EXPECT_EQ(get("/benchmarks/b.txt").status, 404);
  EXPECT_EQ(get("/benchmarks/..%2F..%2Fetc%2Fpasswd").status, 404);
  EXPECT_EQ(get("/benchmarks/../a.json").status, 404);
  std::filesystem::remove_all(folder);
}

TEST_F(DashboardTest, WithoutAFolderThereAreNoRuns) {
  open(Operations::none);
  EXPECT_EQ(json::parse(get("/benchmarks").body)["runs"], json::array());
  EXPECT_EQ(get("/benchmarks/a.json").status, 404);
}

}  // namespace
}  // namespace troupe::test
