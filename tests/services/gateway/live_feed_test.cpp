// What an open dashboard is told: everything once, then what changes; and how its streams end.
#include "services/gateway/live_feed.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <condition_variable>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// (name, data) of each event.
std::vector<std::pair<std::string, json>> events(const std::string& text) {
  std::vector<std::pair<std::string, json>> out;
  for (std::size_t at = text.find("event: "); at != std::string::npos; at = text.find("event: ", at)) {
    const auto name_end = text.find('\n', at);
    const auto data = text.find("data: ", name_end) + 6;
    const auto end = text.find("\n\n", data);
    out.emplace_back(text.substr(at + 7, name_end - at - 7), json::parse(text.substr(data, end - data)));
    at = end;
  }
  return out;
}

struct Sources {
  RequestLog log{100};
  std::shared_ptr<ClusterPicture> picture = std::make_shared<ClusterPicture>();
  std::string gateway = R"({"in_flight":0})", hello = R"({"gateway":"x"})", cluster;

  std::vector<std::pair<std::string, json>> next(LiveCursor& cursor) {
    cluster = to_json(*picture);
    return events(cursor.next({picture, cluster, log, gateway, hello, 1500}));
  }
  void change(std::string name) {
    auto made = std::make_shared<ClusterPicture>(*picture);
    ++made->version;
    wire::ClusterReport::Row row;
    row.name = std::move(name);
    row.loads = {{"m", 1, 2, 8, 100, 40, 20, 0, 77, 1, 2, 3}};
    made->nodes = {row};
    picture = made;
  }
};

TEST(LiveCursor, GreetsAndThenTellsWhatChanged) {
  Sources sources;
  sources.change("decode-0");
  LiveCursor cursor;
  const auto first = sources.next(cursor);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[0].first, "hello");
  EXPECT_EQ(first[1], (std::pair<std::string, json>{"clock", 1500}));
  EXPECT_EQ(first[2].first, "gateway");
  EXPECT_EQ(first[3].first, "cluster");
  EXPECT_EQ(first[3].second["nodes"][0]["name"], "decode-0");
  EXPECT_EQ(first[3].second["nodes"][0]["loads"][0]["pages_free"], 40);
  EXPECT_TRUE(sources.next(cursor).empty()) << "nothing changed";
  sources.gateway = R"({"in_flight":1})";
  const auto second = sources.next(cursor);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].second["in_flight"], 1);
}

TEST(LiveCursor, TellsEachPlacementOnceUntilItChanges) {
  Sources sources;
  sources.change("w");
  auto made = std::make_shared<ClusterPicture>(*sources.picture);
  made->placements.push_back({++made->version, {{1, 1}, {1}, R"({"request":"a"})"}});
  sources.picture = made;
  LiveCursor cursor;
  EXPECT_EQ(sources.next(cursor).back().first, "placements");
  sources.change("w2");
  const auto next = sources.next(cursor);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].first, "cluster");
}

TEST(LiveCursor, ABacklogOfRequestsComesInPieces) {
  Sources sources;
  for (std::uint64_t id = 0; id < 100; ++id) sources.log.prepared({{id, id}, "m", true, true, {}, 1}, {});
  LiveCursor cursor;
  const auto first = sources.next(cursor);
  EXPECT_EQ(first.back().first, "requests");
  EXPECT_EQ(first.back().second.size(), 100u);
  EXPECT_TRUE(sources.next(cursor).empty());
  sources.log.ended({50, 50}, 200, 1, {});
  EXPECT_EQ(sources.next(cursor).back().second.size(), 1u);
}

/// Counts what it is asked; its picture is the test's.
struct FakeConsole final : ClusterConsole {
  std::atomic<int> watched{0};
  void watch() override { ++watched; }
  std::shared_ptr<const ClusterPicture> picture() const override {
    return std::make_shared<ClusterPicture>();
  }
  Expected<void> operate(const std::string&, wire::Operation) override { return {}; }
};

/// What a page is sent. `stalled`: it does not read.
class FakeWriter final : public ResponseWriter {
 public:
  void answer_for(const RequestId&) override {}
  void answer_with(std::vector<gateway::Header>) override {}
  void respond(Response) override {}
  void start_stream(int, std::string_view) override {}
  bool write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    text_ += bytes;
    ++writes_;
    changed_.notify_all();
    return true;
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }
  bool gone() const override { return is_gone; }
  std::size_t waiting() const override { return stalled ? 1 : 0; }
  void on_gone(std::function<void()>) override {}
  void post(std::function<void()>) override {}

  bool wait(const std::function<bool()>& that) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, that);
  }
  bool wait_for(const std::string& text) {
    return wait([&] { return text_.find(text) != std::string::npos; });
  }
  bool wait_until_finished() {
    return wait([&] { return finished_; });
  }
  int writes() {
    const std::lock_guard lock(mutex_);
    return writes_;
  }
  std::atomic<bool> is_gone{false}, stalled{false};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  int writes_ = 0;
  bool finished_ = false;
};

struct Feed {
  FakeConsole console;
  RequestLog log{100};
  std::atomic<int> asked{0};
  LiveOptions options{1ms, 1ms, 2ms, 2};
  LiveFeed feed{&console, log, [this] { return "{\"n\":" + std::to_string(asked++ / 50) + "}"; }, "{}",
                options};
};

TEST(LiveFeed, ServesPagesAndWatchesTheClusterWhileThereAreAny) {
  Feed f;
  EXPECT_EQ(f.console.watched, 0);
  const auto page = std::make_shared<FakeWriter>();
  ASSERT_TRUE(f.feed.open(page));
  EXPECT_TRUE(page->wait_for("event: hello"));
  f.log.prepared({{1, 1}, "m", true, true, {}, 1}, {});
  EXPECT_TRUE(page->wait_for("event: requests"));
  EXPECT_TRUE(page->wait_for("\n:\n")) << "a sign of life in between";
  EXPECT_GT(f.console.watched, 0);
}

TEST(LiveFeed, APageThatDoesNotReadIsSentNothingMore) {
  Feed f;
  const auto page = std::make_shared<FakeWriter>(), other = std::make_shared<FakeWriter>();
  page->stalled = true;
  ASSERT_TRUE(f.feed.open(page));
  ASSERT_TRUE(f.feed.open(other));
  EXPECT_TRUE(other->wait_for("{\"n\":2}")) << "the others do not wait for it";
  EXPECT_EQ(page->writes(), 0);
  page->stalled = false;
  EXPECT_TRUE(page->wait_for("event: hello"));
}

TEST(LiveFeed, PagesAreBoundedAndThoseThatGoMakeRoom) {
  Feed f;
  const auto first = std::make_shared<FakeWriter>(), second = std::make_shared<FakeWriter>();
  ASSERT_TRUE(f.feed.open(first));
  ASSERT_TRUE(f.feed.open(second));
  EXPECT_FALSE(f.feed.open(std::make_shared<FakeWriter>()));
  first->is_gone = true;
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (f.feed.pages() == 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_TRUE(f.feed.open(std::make_shared<FakeWriter>()));
}

TEST(LiveFeed, ADrainEndsTheStreams) {
  Feed f;
  const auto page = std::make_shared<FakeWriter>();
  ASSERT_TRUE(f.feed.open(page));
  f.feed.close();
  EXPECT_TRUE(page->wait_until_finished());
  EXPECT_FALSE(f.feed.open(std::make_shared<FakeWriter>()));
}

}  // namespace
}  // namespace troupe::gateway
