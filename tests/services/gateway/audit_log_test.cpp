#include "services/gateway/audit_log.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/support/key_folder.hpp"

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;
using test::text_of_file;

AuditEntry entry(const std::string& key) {
  AuditEntry made;
  made.request = RequestId{1, 2};
  made.key = key;
  made.route = "chat_completions";
  made.model = "small";
  made.status = 200;
  made.prompt_tokens = 11;
  made.completion_tokens = 22;
  made.seconds = 0.25;
  return made;
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

template <class Condition>
bool eventually(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  return condition();
}

class AuditLogTest : public ::testing::Test {
 protected:
  AuditOptions options() {
    AuditOptions made;
    made.target = file_;
    made.on_line = [this](bool written) { ++(written ? written_ : lost_); };
    return made;
  }
  test::SecretFolder folder_;
  std::string file_ = (folder_ / "audit.jsonl").string();
  std::atomic<std::size_t> written_{0}, lost_{0};
};

TEST_F(AuditLogTest, ALineSaysWhoWhenAndHowMuch) {
  const std::string line = audit_line(entry("alice"), 1'700'000'000'007);
  EXPECT_TRUE(line.ends_with("}\n"));
  EXPECT_EQ(lines(line), 1u);
  EXPECT_EQ(nlohmann::json::parse(line), (nlohmann::json{{"time", "2023-11-14T22:13:20.007Z"},
                                                         {"request", to_hex(RequestId{1, 2})},
                                                         {"key", "alice"},
                                                         {"route", "chat_completions"},
                                                         {"model", "small"},
                                                         {"status", 200},
                                                         {"prompt_tokens", 11},
                                                         {"completion_tokens", 22},
                                                         {"seconds", 0.25}}));
  AuditEntry order = entry("a");
  order.target = "/cluster/workers/a\"b\n\xff/drain";
  EXPECT_TRUE(nlohmann::json::accept(audit_line(order, 0))) << "whatever a client wrote";
  EXPECT_EQ(lines(audit_line(order, 0)), 1u);
}

TEST_F(AuditLogTest, WritesWhatWaitsBeforeItEnds) {
  {
    auto log = AuditLog::open(options());
    ASSERT_TRUE(log) << log.error().detail;
    for (int i = 0; i < 100; ++i) (*log)->add(entry(std::to_string(i)));
  }
  EXPECT_EQ(lines(text_of_file(file_)), 100u);
  EXPECT_EQ(written_, 100u);
  struct stat about {};
  ASSERT_EQ(::stat(file_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  auto again = AuditLog::open(options());
  ASSERT_TRUE(again);
  (*again)->add(entry("later"));
  again->reset();
  EXPECT_EQ(lines(text_of_file(file_)), 101u) << "a restart goes on with the file";
}

TEST_F(AuditLogTest, ReopensAFileThatWasMovedAway) {
  auto log = AuditLog::open(options());
  ASSERT_TRUE(log);
  (*log)->add(entry("first"));
  ASSERT_TRUE(eventually([&] { return written_ == 1; }));
  std::filesystem::rename(file_, file_ + ".moved");
  (*log)->add(entry("second"));
  ASSERT_TRUE(eventually([&] { return written_ == 2; }));
  EXPECT_EQ(lines(text_of_file(file_ + ".moved")), 2u);
  (*log)->reopen();
  (*log)->add(entry("third"));
  log->reset();
  EXPECT_EQ(lines(text_of_file(file_)), 1u);
  EXPECT_EQ(lines(text_of_file(file_ + ".moved")), 2u);
}

TEST_F(AuditLogTest, TurnsFromTargetToTargetAndEveryLineStaysWhereItWasToGo) {
  auto log = AuditLog::open({});
  ASSERT_TRUE(log) << "nobody wants lines yet";
  (*log)->add(entry("nobody's"));
  EXPECT_EQ(written_ + lost_, 0u);
  log = AuditLog::open(options());
  ASSERT_TRUE(log);
  const std::string other = file_ + ".other";
  // A line before each turn goes where it was, one after it where it is then: two of the twelve to the log, two nowhere.
  const std::vector<std::pair<std::string, std::size_t>> turns{{other, 2}, {file_, 4}, {"log", 6}, {other, 8}, {"", 9}, {file_, 10}};
  for (const auto& [to, due] : turns) {
    (*log)->add(entry("before"));
    ASSERT_TRUE((*log)->turn_to({to}));
    (*log)->add(entry("after"));
    ASSERT_TRUE(eventually([&] { return written_ == due; })) << to << ": " << written_;
  }
  log->reset();
  EXPECT_EQ(lines(text_of_file(file_)), 4u);
  EXPECT_EQ(lines(text_of_file(other)), 4u);
  EXPECT_EQ(lost_, 0u);
}

TEST_F(AuditLogTest, AFileThatCannotBeOpenedChangesNothingAndASmallerLimitHoldsAtOnce) {
  auto log = AuditLog::open(options());
  ASSERT_TRUE(log);
  const auto turned = (*log)->turn_to({(folder_ / "no" / "where").string()});
  ASSERT_FALSE(turned);
  EXPECT_EQ(turned.error().code, Errc::io_failed);
  for (int i = 0; i < 3; ++i) (*log)->add(entry("k"));
  ASSERT_TRUE((*log)->turn_to({file_, 2 * audit_line(entry("k"), 0).size()}));
  for (int i = 0; i < 3; ++i) (*log)->add(entry("k"));
  log->reset();
  EXPECT_EQ(written_, 6u);
  EXPECT_EQ(lines(text_of_file(file_)), 1u) << "three were there, two came to another file, and one to the next";
  EXPECT_EQ(lines(text_of_file(file_ + ".1")), 2u);
}

TEST_F(AuditLogTest, AFullFileIsPutAsideOnce) {
  AuditOptions small = options();
  small.max_bytes = 5 * audit_line(entry("k"), 0).size();
  {
    auto log = AuditLog::open(small);
    ASSERT_TRUE(log);
    for (int i = 0; i < 12; ++i) (*log)->add(entry("k"));
  }
  EXPECT_EQ(lines(text_of_file(file_)), 2u);
  EXPECT_EQ(lines(text_of_file(file_ + ".1")), 5u);
  EXPECT_EQ(written_, 12u);
}

TEST_F(AuditLogTest, ADiskThatRefusesIsCountedAndNoRequestWaits) {
  EXPECT_EQ(AuditLog::open([this] {
              AuditOptions nowhere = options();
              nowhere.target = (folder_ / "no" / "where").string();
              return nowhere;
            }())
                .error()
                .code,
            Errc::io_failed);
  AuditOptions full = options();
  full.target = "/dev/full";
  auto log = AuditLog::open(full);
  ASSERT_TRUE(log);
  (*log)->add(entry("k"));
  EXPECT_TRUE(eventually([&] { return lost_ == 1; }));
  log->reset();
  AuditOptions none = options();
  none.queue = 0;
  auto stuck = AuditLog::open(none);
  ASSERT_TRUE(stuck);
  (*stuck)->add(entry("k"));
  EXPECT_EQ(lost_, 2u);
}

}  // namespace
}  // namespace troupe::gateway
