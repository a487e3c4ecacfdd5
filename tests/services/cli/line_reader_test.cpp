#include "services/cli/line_reader.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace troupe::cli {
namespace {

using Outcome = LineReader::Outcome;

class LineReaderTest : public testing::Test {
 protected:
  LineReaderTest() {
    EXPECT_EQ(::pipe(pipe_.data()), 0);
    interrupt_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  ~LineReaderTest() override {
    ::close(pipe_[0]);
    end();
    ::close(interrupt_);
  }
  void type(const std::string& text) {
    ASSERT_EQ(::write(pipe_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (pipe_[1] >= 0) ::close(pipe_[1]);
    pipe_[1] = -1;
  }
  std::array<int, 2> pipe_{};
  int interrupt_ = -1;
  std::string line_;
};

TEST_F(LineReaderTest, GivesLinesThenTheEnd) {
  LineReader reader(pipe_[0], interrupt_);
  type("one\r\n\ntwo");
  end();
  EXPECT_EQ(reader.next(line_), Outcome::line);
  EXPECT_EQ(line_, "one");
  EXPECT_EQ(reader.next(line_), Outcome::line);
  EXPECT_EQ(line_, "");
  EXPECT_EQ(reader.next(line_), Outcome::line);
  EXPECT_EQ(line_, "two");
  EXPECT_EQ(reader.next(line_), Outcome::end);
}

TEST_F(LineReaderTest, AnInterruptDropsTheHalfTypedLine) {
  LineReader reader(pipe_[0], interrupt_);
  ::eventfd_write(interrupt_, 1);
  type("half");
  EXPECT_EQ(reader.next(line_), Outcome::interrupted);
  eventfd_t count = 0;
  ::eventfd_read(interrupt_, &count);
  type("\nwhole\n");
  std::string all;
  while (all.find("whole") == std::string::npos && reader.next(line_) == Outcome::line) all += line_ + "|";
  EXPECT_TRUE(all.ends_with("whole|"));
}

}  // namespace
}  // namespace troupe::cli
