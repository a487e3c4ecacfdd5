#include "common/config/config.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace troupe {
namespace {

const Schema& schema() {
  static const Schema kSchema(
      {{"model", OptionType::text_list, "m", kServing, "Models."},
       {"http.port", OptionType::integer, "8080", kGateway, "Port.", "port", "0", "65535"},
       {"http.cors", OptionType::text, "", kGateway, "Origin."},
       {"kv.bytes", OptionType::bytes, "0", kWorkers, "Memory."},
       {"drain.deadline", OptionType::duration, "30s", kEveryRole, "Drain."},
       {"scale", OptionType::real, "0.5", kEveryRole, "Scale."},
       {"insecure", OptionType::boolean, "false", kEveryRole, "Insecure."},
       {"isa", OptionType::choice, "auto", kWorkers, "ISA.", "", "", "", {"auto", "scalar"}}},
      {"TROUPE_SHARED"});
  return kSchema;
}

const Schema& secret_schema() {
  static const Schema kSchema({{"password", OptionType::text, "", kGateway, "Password.", "", "", "", {}, true},
                               {"name", OptionType::text, "", kGateway, "Name."}});
  return kSchema;
}

ConfigSources sources(std::vector<std::string> arguments,
                      std::vector<std::pair<std::string, std::string>> environment = {},
                      std::string_view yaml = {}) {
  ConfigSources s;
  s.arguments = std::move(arguments);
  s.environment = std::move(environment);
  if (!yaml.empty()) s.file = *parse_yaml(yaml, "t.yaml");
  s.file_name = "t.yaml";
  return s;
}

std::string error_of(const ConfigSources& s) {
  const auto config = Config::load(schema(), s);
  if (config) return "no error";
  EXPECT_EQ(config.error().code, Errc::config_invalid);
  return config.error().detail;
}

TEST(Config, StartsWithTheDefaults) {
  const Config config(schema());
  EXPECT_EQ(config.integer("http.port"), 8080);
  EXPECT_EQ(config.duration("drain.deadline"), std::chrono::seconds(30));
  EXPECT_EQ(config.provenance("http.port").origin, Origin::default_value);
}

TEST(Config, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const std::string_view yaml = "http: {port: 1}\n";
  const auto port = [&](const ConfigSources& s) { return Config::load(schema(), s)->integer("http.port"); };
  EXPECT_EQ(port(sources({"--http-port=3"}, {{"TROUPE_HTTP_PORT", "2"}}, yaml)), 3);
  EXPECT_EQ(port(sources({}, {{"TROUPE_HTTP_PORT", "2"}}, yaml)), 2);
  EXPECT_EQ(port(sources({}, {}, yaml)), 1);
  EXPECT_EQ(port(sources({})), 8080);
}

/// A file of this test, removed with it.
struct SecretFile {
  std::filesystem::path path = std::filesystem::path(testing::TempDir()) / ("secret-" + std::to_string(::getpid()));
  explicit SecretFile(std::string_view text) { std::ofstream(path) << text; }
  ~SecretFile() { std::filesystem::remove(path); }
};

TEST(Config, ReadsASecretFromTheFileThatItsVariableNames) {
  const SecretFile file("hunter2\nnot this\n");
  const auto config = Config::load(secret_schema(), sources({}, {{"TROUPE_PASSWORD_FILE", file.path.string()}}));
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->text("password"), "hunter2");
  EXPECT_EQ(config->provenance("password").place, "TROUPE_PASSWORD_FILE");
}

TEST(Config, RefusesASecretFileThatIsAbsentEmptyDoubleOrOfNoSecret) {
  const SecretFile file("\nsecond line\n");
  const std::string path = file.path.string();
  const auto refused = [&](const ConfigSources& s) {
    const auto config = Config::load(secret_schema(), s);
    return config ? std::string("accepted") : config.error().detail;
  };
  EXPECT_EQ(refused(sources({}, {{"TROUPE_PASSWORD_FILE", "/nowhere/at/all"}})),
            "TROUPE_PASSWORD_FILE: /nowhere/at/all cannot be read");
  EXPECT_NE(refused(sources({}, {{"TROUPE_PASSWORD_FILE", path}})).find("has 0 bytes"), std::string::npos);
  EXPECT_NE(refused(sources({}, {{"TROUPE_PASSWORD_FILE", path}, {"TROUPE_PASSWORD", "x"}})).find("found both"), std::string::npos);
  EXPECT_NE(refused(sources({}, {{"TROUPE_NAME_FILE", path}})).find("unknown environment variable"), std::string::npos);
}

TEST(Config, RemembersWhereEachValueCameFrom) {
  const auto config =
      Config::load(schema(), sources({"--scale", "2"}, {{"TROUPE_KV_BYTES", "1GiB"}}, "http:\n  port: 7\n"));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->provenance("scale").place, "--scale");
  EXPECT_EQ(config->provenance("kv.bytes").place, "TROUPE_KV_BYTES");
  EXPECT_EQ(config->provenance("http.port").place, "t.yaml:2");
  EXPECT_EQ(config->bytes("kv.bytes"), 1ULL << 30);
  EXPECT_EQ(config->real("scale"), 2.0);
}

TEST(Config, ReadsEveryFormOfFlag) {
  const auto config =
      Config::load(schema(), sources({"first", "--insecure", "--http-port", "9", "--model", "a",
                                      "--model=b,c", "--isa=scalar", "--", "--not-a-flag"}));
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_TRUE(config->boolean("insecure"));
  EXPECT_EQ(config->integer("http.port"), 9);
  EXPECT_EQ(config->list("model"), (TextList{"a", "b", "c"}));
  EXPECT_EQ(config->text("isa"), "scalar");
  EXPECT_EQ(config->positionals(), (std::vector<std::string>{"first", "--not-a-flag"}));
}

TEST(Config, ABooleanCanBeSwitchedOff) {
  EXPECT_FALSE(
      Config::load(schema(), sources({"--no-insecure"}, {{"TROUPE_INSECURE", "1"}}))->boolean("insecure"));
  EXPECT_FALSE(
      Config::load(schema(), sources({"--insecure=false"}, {{"TROUPE_INSECURE", "1"}}))->boolean("insecure"));
}

TEST(Config, AStrongerListReplacesAWeakerOne) {
  const auto config =
      Config::load(schema(), sources({"--model", "flag"}, {{"TROUPE_MODEL", "env"}}, "model: [f1, f2]\n"));
  EXPECT_EQ(config->list("model"), TextList{"flag"});
  EXPECT_EQ(Config::load(schema(), sources({}, {}, "model: [f1, f2]\n"))->list("model"),
            (TextList{"f1", "f2"}));
}

TEST(Config, SuggestsTheNearestNameForAnUnknownOne) {
  EXPECT_EQ(error_of(sources({"--http-prot=1"})), "unknown flag --http-prot; did you mean --http-port?");
  EXPECT_EQ(error_of(sources({}, {{"TROUPE_HTTP_PORTS", "1"}})),
            "unknown environment variable TROUPE_HTTP_PORTS; did you mean TROUPE_HTTP_PORT?");
  EXPECT_EQ(error_of(sources({}, {}, "http:\n  prt: 1\n")),
            "t.yaml:2: unknown key http.prt; did you mean http.port?");
  EXPECT_EQ(error_of(sources({"--no-http-port"})), "unknown flag --no-http-port; did you mean --http-port?");
}

TEST(Config, LetsForeignVariablesPass) {
  EXPECT_TRUE(Config::load(schema(), sources({}, {{"TROUPE_SHARED", "x"}, {"PATH", "y"}, {"TROUPES", "z"}})));
}

TEST(Config, NamesThePlaceOfABadValue) {
  EXPECT_EQ(error_of(sources({"--http-port=99999"})),
            "--http-port: http.port: found 99999, expected 0..65535");
  EXPECT_EQ(error_of(sources({}, {{"TROUPE_DRAIN_DEADLINE", "30"}})),
            "TROUPE_DRAIN_DEADLINE: drain.deadline: found \"30\", expected a time with its unit such as "
            "500ms, 30s or 10min (ns, us, ms, "
            "s, min, h)");
  EXPECT_EQ(error_of(sources({}, {}, "http: 3\n")),
            "t.yaml:1: found a single value in http, expected key: value lines");
  EXPECT_EQ(error_of(sources({}, {}, "http: {port: [1, 2]}\n")),
            "t.yaml:1: http.port: found several values, expected one integer");
  EXPECT_EQ(error_of(sources({}, {}, "- a\n")),
            "t.yaml:1: found a list at the top, expected key: value lines");
}

TEST(Config, WantsAValueAfterAFlag) {
  EXPECT_EQ(error_of(sources({"--http-port"})), "--http-port: found nothing after it, expected a value");
  EXPECT_EQ(error_of(sources({"-p", "1"})), "found -p, expected flags written --name");
}

TEST(Config, RefusesAFlagOfAnotherRole) {
  ConfigSources s = sources({"--http-port=1"});
  s.role = "decode";
  EXPECT_EQ(error_of(s), "--http-port: decode does not use it (gateway do)");
  s.role = "serve";
  EXPECT_TRUE(Config::load(schema(), s));
}

TEST(Config, ReadsTheFileThatFlagOrVariableNames) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("troupe-config-test-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "a.yaml") << "http: {port: 11}\n";
  std::ofstream(folder / "b.yaml") << "http: {port: 22}\n";
  const std::string a = (folder / "a.yaml").string();
  const std::string b = (folder / "b.yaml").string();
  EXPECT_EQ(Config::load(schema(), sources({"--config", a}, {{"TROUPE_CONFIG", b}}))->integer("http.port"),
            11);
  EXPECT_EQ(Config::load(schema(), sources({}, {{"TROUPE_CONFIG", b}}))->integer("http.port"), 22);
  EXPECT_EQ(Config::load(schema(), sources({"--config=" + a + ".gone"})).error().code, Errc::file_not_found);
  std::filesystem::remove_all(folder);
}

TEST(Config, GivesTheFlagsThatRepeatIt) {
  const auto config = Config::load(
      schema(), sources({"--model=a,b", "--insecure", "--kv-bytes=3MiB"}, {{"TROUPE_HTTP_PORT", "5"}}));
  const auto flags = config->to_flags(kGateway);
  EXPECT_EQ(flags, (std::vector<std::string>{"--model=a,b", "--http-port=5", "--insecure=true"}));
  const auto again = Config::load(schema(), sources(config->to_flags(kEveryRole)));
  for (std::size_t i = 0; i < schema().options().size(); ++i) EXPECT_EQ(again->value(i), config->value(i));
}

TEST(Config, SetsOneOptionByName) {
  Config config(schema());
  EXPECT_TRUE(config.set("http.port", "1"));
  EXPECT_EQ(config.integer("http.port"), 1);
  EXPECT_EQ(config.set("http.prt", "1").error().detail, "unknown option http.prt; did you mean http.port?");
}

TEST(Config, EndsTheProcessWhenCodeAsksForAnUnknownOptionOrType) {
  const Config config(schema());
  EXPECT_DEATH((void)config.integer("nope"), "nope");
  EXPECT_DEATH((void)config.boolean("http.port"), "http.port");
}

}  // namespace
}  // namespace troupe
