#include "services/cli/top/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace troupe::cli::top {
namespace {

ClusterState busy() {
  ClusterState state;
  state.gateway = "127.0.0.1:8080";
  state.joined = true;
  state.router = "0011aabb";
  state.in_flight = 5;
  state.request_rate = 3.25;
  state.failures = 1;
  state.first_token_p50_ms = 120;
  state.first_token_p99_ms = 12'340;
  Node one;
  one.name = "decode-0";
  one.role = "decode";
  one.busy = one.computes = true;
  one.silent_ms = 85;
  one.running = 4;
  one.pages_total = 1200;
  one.pages_free = 500;
  one.pages_cached = 300;
  one.answer_rate = 120.5;
  one.prompt_rate = 15'000;
  Node two = one;
  two.name = "prefill-0";
  two.role = "prefill";
  two.busy = false;
  two.draining = true;
  two.waiting = 12'345;
  two.queued_prompt_tokens = 1'500'000;
  two.answer_rate = 0;
  two.prompt_rate.reset();
  Node three;
  three.name = "gateway-0";
  three.role = "gateway";
  three.silent_ms = 20;
  state.nodes = {one, two, three};
  return state;
}

TEST(Frame, ShowsEverythingWhereThereIsRoom) {
  EXPECT_EQ(frame(busy(), {120, 0, false}),
            "gateway 127.0.0.1:8080   router 0011aabb   2 workers\n"
            "requests 3.2/s, 1 failed   in flight 5   text queue 0   answers 120 tokens/s   prompts 15.0k "
            "tokens/s\n"
            "first token p50 120 ms, p99 12.3 s\n"
            "\n"
            "NAME       ROLE     STATE     RUN   WAIT  PAGES         USED  OUT/s   IN/s  QUEUED  HEARD\n"
            "decode-0   decode   busy        4      0  ####+++.....  33 %    120  15.0k       0  85 ms\n"
            "prefill-0  prefill  draining    4  12.3k  ####+++.....  33 %    0.0      -    1.5M  85 ms\n"
            "gateway-0  gateway  ready       -      -                   -      -      -       -  20 ms\n");
}

TEST(Frame, ANarrowTerminalLosesTheLeastImportantColumnsFirst) {
  EXPECT_EQ(frame(busy(), {60, 0, false}),
            "gateway 127.0.0.1:8080   router 0011aabb   2 workers\n"
            "requests 3.2/s, 1 failed   in flight 5   text queue 0\n"
            "answers 120 tokens/s   prompts 15.0k tokens/s\n"
            "first token p50 120 ms, p99 12.3 s\n"
            "\n"
            "NAME       ROLE     STATE     RUN   WAIT  USED  OUT/s   IN/s\n"
            "decode-0   decode   busy        4      0  33 %    120  15.0k\n"
            "prefill-0  prefill  draining    4  12.3k  33 %    0.0      -\n"
            "gateway-0  gateway  ready       -      -     -      -      -\n");
  const std::string narrow = frame(busy(), {20, 0, false});
  EXPECT_NE(narrow.find("NAME       STATE\n"), std::string::npos) << narrow;
}

TEST(Frame, NoLineIsWiderThanTheTerminal) {
  ClusterState state = busy();
  state.trouble = std::string(300, 'x');
  state.nodes[0].name = "d\xC3\xA9" + std::string(100, 'y');
  for (std::size_t width = 1; width <= 150; ++width) {
    std::istringstream lines(frame(state, {width, 0, false}));
    for (std::string line; std::getline(lines, line);) {
      std::size_t columns = 0;
      for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
      ASSERT_LE(columns, std::max<std::size_t>(width, 10)) << width << ": " << line;
    }
  }
}

TEST(Frame, ALowTerminalSaysHowMuchIsMissing) {
  const std::string low = frame(busy(), {120, 6, false});
  EXPECT_EQ(std::ranges::count(low, '\n'), 6);
  EXPECT_TRUE(low.ends_with("... 3 more\n")) << low;
  EXPECT_EQ(frame(busy(), {120, 8, false}), frame(busy(), {120, 0, false}));
}

TEST(Frame, SaysWhatIsWrong) {
  ClusterState state = busy();
  state.joined = false;
  state.draining = true;
  state.trouble = "the gateway ended its events; trying again";
  state.nodes.clear();
  EXPECT_EQ(frame(state, {80, 0, false}),
            "gateway 127.0.0.1:8080 (draining)   no router answers   0 workers\n"
            "requests 3.2/s, 1 failed   in flight 5   text queue 0   answers 0.0 tokens/s\n"
            "prompts 0.0 tokens/s   first token p50 120 ms, p99 12.3 s\n"
            "! the gateway ended its events; trying again\n"
            "\n"
            "NAME  ROLE  STATE  RUN  WAIT  PAGES  USED  OUT/s  IN/s  QUEUED  HEARD\n");
}

TEST(Frame, ColoursWhatHangsAndWhatDrains) {
  ClusterState state = busy();
  state.nodes[0].hung = true;
  const std::string coloured = frame(state, {120, 0, true});
  EXPECT_NE(coloured.find("\x1b[31mdecode-0   decode   hung"), std::string::npos) << coloured;
  EXPECT_NE(coloured.find("\x1b[33mprefill-0"), std::string::npos);
  EXPECT_NE(coloured.find("\x1b[1mNAME"), std::string::npos);
}

TEST(Frame, NothingOfTheStateMovesTheCursor) {
  ClusterState state = busy();
  state.nodes[0].name = "a\x1b[2J\nb";
  state.router = "\x1b[31m";
  const std::string text = frame(state, {120, 0, false});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("a[2J b"), std::string::npos);
}

}  // namespace
}  // namespace troupe::cli::top
