#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "services/cli/command.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code;
  std::string out, err;
};

Ran run(Arguments arguments, std::vector<std::pair<std::string, std::string>> environment = {}) {
  std::ostringstream out;
  std::ostringstream err;
  Io io{out, err, 0, std::move(environment)};
  const int code = run_command_line(std::move(arguments), io);
  return {code, out.str(), err.str()};
}

TEST(CommandLine, HelpListsEveryCommand) {
  const Ran ran = run({"--help"});
  EXPECT_EQ(ran.code, ok);
  for (const Command& command : commands())
    EXPECT_NE(ran.out.find("  " + std::string(command.name) + " "), std::string::npos);
  EXPECT_EQ(run({}).code, bad_input);
}

TEST(CommandLine, SuggestsTheNearestCommand) {
  const Ran ran = run({"modles"});
  EXPECT_EQ(ran.code, bad_input);
  EXPECT_EQ(ran.err, "troupe: unknown command modles; did you mean models?\n");
}

TEST(CommandLine, EveryCommandHasHelpOrTakesNoArguments) {
  for (const Command& command : commands()) {
    const Ran ran = run({std::string(command.name), "--help"});
    EXPECT_TRUE(command.usage.empty() || (ran.code == ok && ran.out.starts_with("usage: troupe ")))
        << command.name;
  }
}

TEST(CommandLine, FindsACommandOfTwoWords) {
  const Ran ran = run({"bench", "engine", "--help"});
  EXPECT_EQ(ran.code, ok);
  EXPECT_TRUE(ran.out.starts_with("usage: troupe bench engine")) << ran.out;
  EXPECT_EQ(run({"bench", "engine", "--streams", "0"}).code, bad_input);
  EXPECT_EQ(run({"bench", "quality", "--text", "a", "--token-file", "b"}).code, bad_input);
}

TEST(CommandLine, AVerbGetsWhatFollowsItAndAnUnknownOneSuggestsTheNearest) {
  std::ostringstream out, err;
  Io io{out, err, 0, {}};
  Arguments given;
  const std::vector<Verb> verbs{
      {"take", [&](Arguments rest, Io&) {
         given = std::move(rest);
         return 7;
       }},
      {"fail", [](const Arguments&, Io& to) { return ended(fail(Errc::config_invalid, "no"), to); }}};
  const auto run_it = [&](Arguments arguments) { return run_verb("things", "usage: things\n", verbs, std::move(arguments), io); };
  EXPECT_EQ(run_it({"take", "a", "--b"}), 7);
  EXPECT_EQ(given, (Arguments{"a", "--b"}));
  EXPECT_EQ(run_it({"fail"}), bad_input);
  EXPECT_EQ(run_it({"tak"}), bad_input);
  EXPECT_EQ(err.str(), "troupe: config_invalid: no\ntroupe: config_invalid: things: unknown verb tak; did you mean take?\n");
  EXPECT_EQ(out.str(), "");
  EXPECT_EQ(run_it({"take", "--help"}), ok);
  EXPECT_EQ(out.str(), "usage: things\n");
  EXPECT_EQ(run_it({}), bad_input);
  EXPECT_TRUE(err.str().ends_with("usage: things\n"));
}

TEST(CommandLine, TakesFlagsOut) {
  Arguments arguments{"a", "--x", "1", "--y=2", "--z", "b"};
  EXPECT_EQ(**take_flag(arguments, "--x"), "1");
  EXPECT_EQ(**take_flag(arguments, "--y"), "2");
  EXPECT_EQ(*take_flag(arguments, "--none"), std::nullopt);
  EXPECT_TRUE(take_switch(arguments, "--z"));
  EXPECT_FALSE(take_switch(arguments, "--z"));
  EXPECT_EQ(arguments, (Arguments{"a", "b"}));
  Arguments cut{"--x"};
  EXPECT_FALSE(take_flag(cut, "--x"));
}

TEST(CommandLine, ExitCodesSeparateBadInputFromFailure) {
  EXPECT_EQ(exit_code({Errc::file_malformed, ""}), bad_input);
  EXPECT_EQ(exit_code({Errc::config_invalid, ""}), bad_input);
  EXPECT_EQ(exit_code({Errc::address_in_use, ""}), failed);
  EXPECT_EQ(exit_code({Errc::peer_lost, ""}), failed);
}

TEST(VersionCommand, PrintsTheVersion) {
  EXPECT_TRUE(run({"version"}).out.starts_with("troupe 0."));
}

TEST(TechniquesCommand, PrintsTheTable) {
  const Ran ran = run({"techniques"});
  EXPECT_EQ(ran.code, ok);
  for (const char* name : {"chunked-prefill", "prefix-cache", "hydragen", "disaggregated-prefill"})
    EXPECT_NE(ran.out.find(name), std::string::npos);
}

TEST(ConfigCommand, PrintsYamlWithProvenance) {
  const Ran ran =
      run({"config", "print", "--role", "gateway", "--http-port=1"}, {{"TROUPE_LOG_LEVEL", "debug"}});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_NE(ran.out.find("  port: 1  # from flag --http-port\n"), std::string::npos);
  EXPECT_NE(ran.out.find("  level: debug  # from environment TROUPE_LOG_LEVEL\n"), std::string::npos);
  EXPECT_EQ(ran.out.find("engine:\n  # Compute threads"), std::string::npos);
}

TEST(ConfigCommand, PrintsJson) {
  const auto json = nlohmann::json::parse(run({"config", "print", "--json", "--http-port=1"}).out);
  EXPECT_EQ(json["http.port"]["value"], 1);
}

TEST(ConfigCommand, RefusesUnknownNames) {
  EXPECT_EQ(run({"config", "print", "--http-prot=1"}).code, bad_input);
  EXPECT_EQ(run({"config", "print"}, {{"TROUPE_HTTP_PROT", "1"}}).err,
            "troupe: config_invalid: unknown environment variable TROUPE_HTTP_PROT; did you mean "
            "TROUPE_HTTP_PORT?\n");
  EXPECT_EQ(run({"config", "print", "--role=waiter"}).code, bad_input);
  EXPECT_EQ(run({"config", "show"}).code, bad_input);
  EXPECT_EQ(run({"config", "print", "stray"}).code, bad_input);
}

TEST(UpCommand, PrintsThePlanOfTheDeliveredCluster) {
  const Ran ran = run({"up", "deploy/cluster.yaml", "--plan", "--http-port", "9001"});
  EXPECT_EQ(ran.code, ok) << ran.err;
  EXPECT_TRUE(ran.out.starts_with("router: router --")) << ran.out;
  EXPECT_NE(ran.out.find("gateway: gateway --"), std::string::npos);
  EXPECT_NE(ran.out.find("--http-port=9001"), std::string::npos);
}

TEST(UpCommand, WantsAClusterFile) {
  EXPECT_EQ(run({"up"}).code, bad_input);
  EXPECT_EQ(run({"up", "no/such.yaml"}).code, bad_input);
  EXPECT_EQ(run({"up", "deploy/cluster.yaml", "--config=x"}).code, bad_input);
}

TEST(Dispatch, AKeyIsShownWhereThereIsOne) {
  std::ostringstream out, err;
  using Headers = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(key_header(Io{out, err, 0, {{"OPENAI_API_KEY", "sk-a"}}}), (Headers{{"Authorization", "Bearer sk-a"}}));
  EXPECT_EQ(key_header(Io{out, err, 0, {{"OPENAI_API_KEY", ""}, {"HOME", "/"}}}), Headers{});
}

}  // namespace
}  // namespace troupe::cli
