// Actor shells in one process and over real TCP between two actor systems of one test process.
#include "common/actors/runtime.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/support/key_folder.hpp"

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;

/// What a role saw, handed to the test's thread. Waits have a deadline, only a failure reaches it.
class Journal {
 public:
  void add(std::string line) {
    {
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::move(line));
    }
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(const std::string& line) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return std::count(lines_.begin(), lines_.end(), line) > 0; });
  }
  [[nodiscard]] long count(const std::string& line) {
    const std::lock_guard lock(mutex_);
    return std::count(lines_.begin(), lines_.end(), line);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// Answers every Ping with a Pong of the same number and notes all it sees.
class Echo final : public RoleState {
 public:
  explicit Echo(Journal& journal) : journal_(journal) {}
  ~Echo() override { journal_.add("destroyed"); }
  void receive(const std::string& from, const wire::Envelope& message, TimePoint, Outbox& out) override {
    if (const auto ping = wire::unpack<wire::Ping>(message)) {
      journal_.add("ping " + std::to_string(ping->number));
      out.send(from, wire::Pong{ping->number, {}});
    } else if (const auto pong = wire::unpack<wire::Pong>(message)) {
      journal_.add("pong " + std::to_string(pong->number));
    } else {
      journal_.add("other");
    }
  }
  void tick(TimePoint now, Outbox&) override {
    journal_.add("tick");
    if (now >= wake_) wake_ = TimePoint::max();
  }
  void peer_lost(const std::string& address, TimePoint, Outbox&) override { journal_.add("lost " + address); }
  TimePoint wake_at() const override { return wake_; }
  TimePoint wake_ = TimePoint::max();

 private:
  Journal& journal_;
};

RoleHandle spawn(Runtime& runtime, const std::string& name, Journal& journal) {
  auto role = runtime.spawn(name, [&](const RoleHandle&) { return std::make_unique<Echo>(journal); });
  EXPECT_TRUE(role.has_value()) << (role ? "" : to_string(role.error()));
  return *role;
}

void ping(const RoleHandle& from, const std::string& to, std::uint64_t number) {
  from.post([to, number](RoleState&, TimePoint, Outbox& out) { out.send(to, wire::Ping{number}); });
}

TEST(Runtime, RolesOfOneProcessSpeakByLocalAddress) {
  Journal a, b;
  auto runtime = *Runtime::create({});
  const RoleHandle first = spawn(*runtime, "first", a);
  const RoleHandle second = spawn(*runtime, "second", b);
  EXPECT_EQ(second.address(), "local://second");
  ping(first, second.address(), 7);
  EXPECT_TRUE(a.wait_for("pong 7"));
  EXPECT_EQ(b.count("ping 7"), 1);
}

TEST(Runtime, AnUnknownLocalAddressIsReportedAsLost) {
  Journal a;
  auto runtime = *Runtime::create({});
  ping(spawn(*runtime, "first", a), "local://nobody", 1);
  EXPECT_TRUE(a.wait_for("lost local://nobody"));
}

TEST(Runtime, ANameIsTakenOnlyOnceAndStopDestroysTheState) {
  Journal a, b;
  auto runtime = *Runtime::create({});
  const RoleHandle first = spawn(*runtime, "same", a);
  const auto second = runtime->spawn("same", [&](const RoleHandle&) { return std::make_unique<Echo>(b); });
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::address_in_use);
  runtime->stop(first);
  EXPECT_EQ(a.count("destroyed"), 1);
  first.post([](RoleState&, TimePoint, Outbox&) { FAIL() << "a stopped role ran a job"; });
}

TEST(Runtime, TicksWhenTheStateAskedForIt) {
  Journal a;
  auto runtime = *Runtime::create({});
  const RoleHandle role = spawn(*runtime, "first", a);
  EXPECT_TRUE(a.wait_for("tick"));  // the one at start
  role.post([&](RoleState& state, TimePoint now, Outbox&) {
    dynamic_cast<Echo&>(state).wake_ = now + 5ms;
    a.add("asked");
  });
  ASSERT_TRUE(a.wait_for("asked"));
  std::atomic<bool> again = false;
  for (int i = 0; i < 2000 && !again; ++i) {
    again = a.count("tick") == 2;
    std::this_thread::yield();
    if (!again) std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(a.count("tick"), 2);
}

TEST(Runtime, TwoSystemsSpeakOverTcpAndTheAnswerNeedsNoDialBack) {
  Journal a, b;
  RuntimeOptions options;
  options.remote = true;
  auto left = *Runtime::create(options), right = *Runtime::create(options);
  const RoleHandle first = spawn(*left, "first", a);
  const RoleHandle second = spawn(*right, "second", b);
  EXPECT_TRUE(second.address().starts_with("tcp://127.0.0.1:")) << second.address();
  for (std::uint64_t i = 0; i < 100; ++i) ping(first, second.address(), i);
  EXPECT_TRUE(a.wait_for("pong 99"));
  EXPECT_EQ(b.count("ping 0"), 1);  // written while the dial was under way, and not lost
  ping(second, first.address(), 500);
  EXPECT_TRUE(b.wait_for("pong 500"));
}

TEST(Runtime, APeerThatEndsIsReportedAndReachedAgainWhenItIsBack) {
  Journal a, b, c;
  RuntimeOptions options;
  options.remote = true;
  auto left = *Runtime::create(options);
  const RoleHandle first = spawn(*left, "first", a);
  auto right = *Runtime::create(options);
  const std::string address = spawn(*right, "second", b).address();
  ping(first, address, 1);
  ASSERT_TRUE(a.wait_for("pong 1"));
  right.reset();
  ASSERT_TRUE(a.wait_for("lost " + address));
  options.listen = address.substr(6);
  right = *Runtime::create(options);
  ASSERT_EQ(spawn(*right, "second", c).address(), address);
  for (std::uint64_t i = 10; i < 2000 && a.count("pong " + std::to_string(i - 1)) == 0; ++i) {
    ping(first, address, i);
    std::this_thread::sleep_for(10ms);  // the dial's pause; only how long this takes depends on it
    if (c.count("ping " + std::to_string(i)) != 0) break;
  }
  ping(first, address, 5000);
  EXPECT_TRUE(a.wait_for("pong 5000"));
}

TEST(Runtime, AnAddressNobodyListensOnIsReportedAsLost) {
  Journal a;
  RuntimeOptions options;
  options.remote = true;
  auto left = *Runtime::create(options);
  ping(spawn(*left, "first", a), "tcp://127.0.0.1:1", 1);
  EXPECT_TRUE(a.wait_for("lost tcp://127.0.0.1:1"));
}

/// CURVE has no part in this.
security::KeyMaker tls_maker() {
  return {[] { return security::CurvePair{std::string(40, 'p'), std::string(40, 's')}; }, {}};
}

std::unique_ptr<Runtime> keyed(std::shared_ptr<const security::ClusterKeys> keys) {
  RuntimeOptions options;
  options.remote = true;
  options.keys = std::move(keys);
  return std::move(*Runtime::create(options));
}

TEST(Runtime, MembersSpeakOverTlsAtEveryStepOfARotation) {
  const test::SecretFolder folder;
  ASSERT_TRUE(security::make_keys(folder.path(), tls_maker()));
  Journal a, b, c;
  const auto left = keyed(*security::load_keys(folder.path())), same = keyed(*security::load_keys(folder.path()));
  const RoleHandle first = spawn(*left, "first", a), second = spawn(*same, "second", b);
  ping(first, second.address(), 1);
  EXPECT_TRUE(a.wait_for("pong 1"));
  ASSERT_TRUE(security::rotate_keys(folder.path(), tls_maker()));
  const auto rotated = keyed(*security::load_keys(folder.path()));
  const RoleHandle third = spawn(*rotated, "third", c);
  ping(first, third.address(), 2);
  EXPECT_TRUE(a.wait_for("pong 2"));
  ping(third, second.address(), 3);
  EXPECT_TRUE(c.wait_for("pong 3"));
}

TEST(Runtime, WhoHasNoKeysOrOthersIsRefusedAndRefuses) {
  const test::SecretFolder folder, foreign;
  ASSERT_TRUE(security::make_keys(folder.path(), tls_maker()));
  ASSERT_TRUE(security::make_keys(foreign.path(), tls_maker()));
  Journal a, b, c;
  const auto member = keyed(*security::load_keys(folder.path()));
  const auto stranger = keyed(*security::load_keys(foreign.path()));
  const auto plain = keyed(nullptr);
  const RoleHandle inside = spawn(*member, "inside", a), other = spawn(*stranger, "other", b), open = spawn(*plain, "open", c);
  ping(other, inside.address(), 1);
  EXPECT_TRUE(b.wait_for("lost " + inside.address()));
  ping(open, inside.address(), 2);
  EXPECT_TRUE(c.wait_for("lost " + inside.address()));
  ping(inside, other.address(), 3);
  EXPECT_TRUE(a.wait_for("lost " + other.address()));
  ping(inside, open.address(), 4);
  EXPECT_TRUE(a.wait_for("lost " + open.address()));
  for (int number = 1; number <= 4; ++number)
    for (Journal* journal : {&a, &b, &c}) EXPECT_EQ(journal->count("ping " + std::to_string(number)), 0);
}

/// Says something that is no TLS, and waits until the port has closed the connection.
void knock(const std::string& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  EXPECT_EQ(::send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  pollfd state{fd, POLLIN, 0};
  char heard[256];
  while (::poll(&state, 1, 20'000) == 1 && ::recv(fd, heard, sizeof heard, 0) > 0) {
  }
  ::close(fd);
}

TEST(Runtime, WhoIsRefusedDisturbsNoMember) {
  const test::SecretFolder folder;
  ASSERT_TRUE(security::make_keys(folder.path(), tls_maker()));
  Journal a, b;
  const auto left = keyed(*security::load_keys(folder.path())), right = keyed(*security::load_keys(folder.path()));
  const RoleHandle first = spawn(*left, "first", a), second = spawn(*right, "second", b);
  for (std::uint64_t i = 0; i < 20; ++i) {
    ping(first, second.address(), i);
    ASSERT_TRUE(a.wait_for("pong " + std::to_string(i)));
    knock(second.address());
    knock(first.address());
  }
  EXPECT_EQ(a.count("lost " + second.address()) + b.count("lost " + first.address()), 0);
}

TEST(Runtime, WithKeysItListensBeyondLoopback) {
  const test::SecretFolder folder;
  ASSERT_TRUE(security::make_keys(folder.path(), tls_maker()));
  RuntimeOptions options;
  options.remote = true;
  options.listen = "0.0.0.0:0";
  options.keys = *security::load_keys(folder.path());
  EXPECT_TRUE(Runtime::create(options).has_value());
}

TEST(Runtime, RefusesToListenBeyondLoopbackWithoutInsecure) {
  RuntimeOptions options;
  options.remote = true;
  options.listen = "0.0.0.0:0";
  const auto runtime = Runtime::create(options);
  ASSERT_FALSE(runtime.has_value());
  EXPECT_EQ(runtime.error().code, Errc::config_invalid);
}

}  // namespace
}  // namespace troupe::actors
