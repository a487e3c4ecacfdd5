// A real router, and nodes that speak its wire as processes of other releases would: over CAF, from another
// process, message by message.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "common/actors/runtime.hpp"
#include "common/http/client.hpp"
#include "common/wire/messages.hpp"

namespace troupe {
namespace {

using namespace std::chrono_literals;

wire::Release of(std::uint16_t revision) {
  return {"9." + std::to_string(revision) + ".0", revision, static_cast<std::uint16_t>(revision - 1)};
}

/// A node of the cluster that joins once a test tells it to, and keeps the answers.
class Node final : public actors::RoleState {
 public:
  struct Heard {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<wire::JoinReply> replies;
    std::size_t known() {
      const std::lock_guard lock(mutex);
      return replies.size();
    }
    /// The next answer after `known` of them.
    std::optional<wire::JoinReply> after(std::size_t known) {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, 20s, [&] { return replies.size() > known; })) return std::nullopt;
      return replies[known];
    }
  };
  explicit Node(Heard& heard) : heard_(heard) {}
  void receive(const std::string&, const wire::Envelope& message, TimePoint, actors::Outbox&) override {
    const auto reply = wire::unpack<wire::JoinReply>(message);
    if (!reply) return;
    {
      const std::lock_guard lock(heard_.mutex);
      heard_.replies.push_back(*reply);
    }
    heard_.changed.notify_all();
  }
  void tick(TimePoint, actors::Outbox&) override {}
  void peer_lost(const std::string&, TimePoint, actors::Outbox&) override {}
  [[nodiscard]] TimePoint wake_at() const override { return TimePoint::max(); }

 private:
  Heard& heard_;
};

/// A Join as releases of the first revision write it: without what was appended since.
struct OlderJoin {
  static constexpr std::string_view kName = "Join";
  static constexpr std::uint16_t kNumber = wire::kJoinNumber, kVersion = 3, kOldestReader = 1;
  wire::Join join;
  template <class V, class S>
  static void fields(V&& v, S& s) {
    v("node", s.join.node);
    v("role", s.join.role);
    v("name", s.join.name);
    v("control_address", s.join.control_address);
    v("data_address", s.join.data_address);
    v("models", s.join.models);
    v("dialled", s.join.dialled);
    v("weights", s.join.weights);
  }
};

class Skew : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* binary = std::getenv("TROUPE_BINARY");
    ASSERT_NE(binary, nullptr) << "ctest says where the program is";
    log_ = std::filesystem::temp_directory_path() / ("troupe-skew-" + std::to_string(::getpid()) + ".log");
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      if (std::freopen(log_.c_str(), "w", stderr) == nullptr) ::_exit(3);
      ::execl(binary, binary, "router", "--metrics-port=0", "--cluster-heartbeat=100ms",
              "--cluster-node-timeout=60s", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    router_ = wait_for_line("router listens address=");
    metrics_ = wait_for_line("metrics listen address=127.0.0.1 port=");
    ASSERT_FALSE(router_.empty() || metrics_.empty()) << log();
    actors::RuntimeOptions options;
    options.remote = true;
    options.node_timeout = 60s;
    auto made = actors::Runtime::create(options);
    ASSERT_TRUE(made) << to_string(made.error());
    runtime_ = std::move(*made);
  }
  void TearDown() override {
    roles_.clear();
    runtime_.reset();
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      int status = 0;
      ::waitpid(pid_, &status, 0);
      EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0) << log();
    }
    std::filesystem::remove(log_);
  }

  [[nodiscard]] std::string log() const {
    std::ifstream file(log_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  /// The word after `opening` in the router's log.
  [[nodiscard]] std::string wait_for_line(const std::string& opening) const {
    for (int i = 0; i < 400; ++i) {
      const std::string text = log();
      const auto at = text.find(opening);
      const auto end = at == std::string::npos ? at : text.find_first_of(" \n", at + opening.size());
      if (end != std::string::npos) return text.substr(at + opening.size(), end - at - opening.size());
      std::this_thread::sleep_for(50ms);
    }
    return {};
  }
  [[nodiscard]] double metric(const std::string& name) const {
    const auto url = parse_url("http://127.0.0.1:" + metrics_);
    HttpRequest request;
    request.path = "/metrics";
    auto answer = HttpAnswer::open(*url, request, -1);
    if (!answer) return -1;
    const auto text = answer->read_all(1u << 20);
    if (!text) return -1;
    const auto at = text->find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text->substr(at + name.size() + 2));
  }
  [[nodiscard]] std::size_t logged(const std::string& part) const {
    const std::string text = log();
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  /// A node joins, as one of `revision`; the router's answer.
  wire::JoinReply join(std::uint64_t id, std::uint16_t revision) {
    Node::Heard& heard = heard_[id];
    if (!roles_.contains(id)) {
      auto role = runtime_->spawn("n" + std::to_string(id),
                                  [&](const actors::RoleHandle&) { return std::make_unique<Node>(heard); });
      EXPECT_TRUE(role) << (role ? "" : to_string(role.error()));
      roles_.emplace(id, *role);
    }
    const actors::RoleHandle& role = roles_.at(id);
    const std::size_t known = heard.known();
    role.post([to = router_, id, revision, own = role.address()](actors::RoleState&, TimePoint,
                                                                 actors::Outbox& out) {
      wire::Join message;
      message.node = {id, id};
      message.name = "n" + std::to_string(id);
      message.control_address = own;
      message.dialled = to;
      message.release = of(revision);
      revision == 1 ? out.send(to, OlderJoin{message}) : out.send(to, message);
    });
    const auto reply = heard.after(known);
    EXPECT_TRUE(reply.has_value()) << log();
    return reply.value_or(wire::JoinReply{});
  }

  pid_t pid_ = -1;
  std::filesystem::path log_;
  std::string router_, metrics_;
  std::unique_ptr<actors::Runtime> runtime_;
  std::map<std::uint64_t, actors::RoleHandle> roles_;
  std::map<std::uint64_t, Node::Heard> heard_;  // the nodes refer to it: ends after the runtime
};

constexpr std::uint16_t kOwn = wire::kRevision;

TEST_F(Skew, NeighboursAreTakenInAndOthersRefusedWithAReasonOnceInTheLogAndCounted) {
  EXPECT_FALSE(join(1, kOwn).refused.has_value());
  EXPECT_FALSE(join(2, kOwn + 1).refused.has_value()) << "the next release";
  EXPECT_EQ(join(2, kOwn + 1).release, wire::own_release()) << "the router tells its own";
  for (int i = 0; i < 5; ++i) {
    const auto reply = join(3, kOwn + 2);
    ASSERT_TRUE(reply.refused.has_value());
    EXPECT_EQ(reply.refused->code, Errc::wire_version);
    EXPECT_NE(reply.refused->detail.find(to_string(of(kOwn + 2))), std::string::npos)
        << reply.refused->detail;
    EXPECT_NE(reply.refused->detail.find(to_string(wire::own_release())), std::string::npos);
  }
  EXPECT_EQ(logged("a node is refused for its release"), 1u) << log();
  // What it counts is shown as of its last tick.
  double counted = 0;
  for (int i = 0; i < 200 && counted != 5; ++i) {
    std::this_thread::sleep_for(50ms);
    counted = metric("troupe_router_release_refusals_total");
  }
  EXPECT_EQ(counted, 5);
  EXPECT_EQ(metric("troupe_process_wire_revision"), kOwn);
  EXPECT_EQ(logged("node joined"), 2u);
}

TEST_F(Skew, ANodeThatDoesNotTellItsReleaseIsOfTheFirstRevisionAndKeepsLaterOnesOut) {
  static_assert(wire::kOldestRevision <= 1,
                "from the next revision on it is refused, and this test is another one");
  EXPECT_FALSE(join(1, 1).refused.has_value()) << "the release before this one";
  const auto ahead = join(2, kOwn + 1);
  ASSERT_TRUE(ahead.refused.has_value()) << "the router would serve with it, the member would not";
  EXPECT_NE(ahead.refused->detail.find("the member n1"), std::string::npos) << ahead.refused->detail;
  EXPECT_FALSE(join(3, kOwn).refused.has_value());
}

}  // namespace
}  // namespace troupe
