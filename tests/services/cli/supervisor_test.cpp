#include "services/cli/supervisor.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/config/options.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-supervisor-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    options_.executable = (fs::path(own_executable()).parent_path() / "cli_fake_role").string();
    options_.environment = {{"FAKE_ROLE_LOG", (folder_ / "log").string()}};
    options_.on_all_ready = [this] {
      ++all_ready_;
      ::kill(::getpid(), SIGTERM);
    };
  }
  void TearDown() override { fs::remove_all(folder_); }

  int run() {
    Config config(product_schema());
    EXPECT_TRUE(config.set("supervisor.restart_first", "1ms"));
    EXPECT_TRUE(config.set("drain.deadline", "20s"));
    const ClusterPlan plan{{{"router", "router", {"router", "--a"}, "r"},
                            {"decode", "decode", {"decode", "--b=c d"}, "d"},
                            {"gateway", "gateway", {"gateway"}, "g"}},
                           {},
                           config};
    const auto code = run_supervisor(plan, options_, out_);
    EXPECT_TRUE(code) << (code ? "" : to_string(code.error()));
    return code.value_or(-1);
  }
  [[nodiscard]] std::vector<std::string> log() const {
    std::ifstream file(folder_ / "log");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  fs::path folder_;
  SupervisorOptions options_;
  std::ostringstream out_;
  int all_ready_ = 0;
};

TEST_F(SupervisorTest, StartsAllAndDrainsThemInOrder) {
  EXPECT_EQ(run(), ok);
  EXPECT_EQ(all_ready_, 1);
  auto lines = log();
  ASSERT_EQ(lines.size(), 6U) << out_.str();
  std::sort(lines.begin(), lines.begin() + 3);
  EXPECT_EQ(lines, (std::vector<std::string>{"start decode --b=c d", "start gateway", "start router --a",
                                             "stop gateway", "stop decode", "stop router"}));
  EXPECT_NE(out_.str().find("all 3 processes are up\n"), std::string::npos);
}

TEST_F(SupervisorTest, RestartsWhatDies) {
  options_.environment.emplace_back("FAKE_ROLE_DIE_ONCE", "decode");
  EXPECT_EQ(run(), ok);
  const auto lines = log();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "start decode --b=c d"), 2);
  EXPECT_NE(out_.str().find("decode died: exit code 7; restart in 1ms\n"), std::string::npos) << out_.str();
}

TEST_F(SupervisorTest, StopsWhenOneCannotRunAsConfigured) {
  options_.environment.emplace_back("FAKE_ROLE_BAD", "decode");
  EXPECT_EQ(run(), bad_input);
  EXPECT_EQ(all_ready_, 0);
}

TEST_F(SupervisorTest, ASecondSignalKillsTheDeaf) {
  // The gateway never ends by itself: the second signal comes when its drain is announced.
  class SignalOnDrain : public std::stringbuf {
   protected:
    std::streamsize xsputn(const char* text, std::streamsize size) override {
      if (std::string_view(text, static_cast<std::size_t>(size)) == "gateway drains")
        ::kill(::getpid(), SIGINT);
      return std::stringbuf::xsputn(text, size);
    }
  };
  SignalOnDrain buffer;
  static_cast<std::ios&>(out_).rdbuf(&buffer);
  options_.environment.emplace_back("FAKE_ROLE_DEAF", "gateway");
  EXPECT_EQ(run(), ok);
  EXPECT_NE(buffer.str().find("gateway has ended: signal 9\n"), std::string::npos) << buffer.str();
}

TEST_F(SupervisorTest, PutsTheSignalMaskBack) {
  sigset_t before;
  sigset_t after;
  ::sigprocmask(SIG_BLOCK, nullptr, &before);
  EXPECT_EQ(run(), ok);
  ::sigprocmask(SIG_BLOCK, nullptr, &after);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT})
    EXPECT_EQ(::sigismember(&before, number), ::sigismember(&after, number));
}

TEST(OwnExecutable, IsAFileOfThatName) {
  EXPECT_EQ(fs::path(own_executable()).filename(), "cli_test");
}

}  // namespace
}  // namespace troupe::cli
