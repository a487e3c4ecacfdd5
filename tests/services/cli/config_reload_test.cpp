#include "services/cli/config_reload.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/config/options.hpp"

namespace troupe::cli {
namespace {

/// A process with a configuration file that the test rewrites.
struct Rig {
  explicit Rig(std::string text)
      : yaml(std::move(text)),
        process(
            *read(), kServing, [this] { return read(); }, registry) {}
  Expected<Config> read() const {
    ConfigSources sources;
    auto file = parse_yaml(yaml, "troupe.yaml");
    if (!file) return tl::unexpected<Error>(file.error());
    sources.file = std::move(*file);
    sources.file_name = "troupe.yaml";
    return Config::load(product_schema(), sources);
  }
  /// What a reload logs; whether something was taken over.
  std::string reload(bool& changed) {
    testing::internal::CaptureStderr();
    changed = false;
    process.reload([&](const Config& config) {
      changed = true;
      applied = config.integer("gateway.max_streams");
      EXPECT_TRUE(exposes("troupe_process_config_reloads_total{outcome=\"taken\"} 0")) << "told when it is in force";
    });
    return testing::internal::GetCapturedStderr();
  }
  [[nodiscard]] bool exposes(const std::string& sample) const {
    return registry.serialize().find("\n" + sample + "\n") != std::string::npos;
  }

  std::string yaml;
  std::int64_t applied = 0;
  metrics::Registry registry;
  ConfigReload process;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(ConfigReload, TellsWhatItTakesOverAndWhatWaits) {
  Rig rig("gateway: {max_streams: 9}\nhttp: {port: 8080}\n");
  rig.yaml = "gateway: {max_streams: 10}\nhttp: {port: 8081}\n";
  bool changed = false;
  const std::string log = rig.reload(changed);
  EXPECT_TRUE(changed);
  EXPECT_EQ(rig.process.wanted().integer("gateway.max_streams"), 10);
  EXPECT_EQ(rig.applied, 10);
  EXPECT_TRUE(contains(log, "option taken over option=gateway.max_streams from=9 to=10 place=troupe.yaml:1"))
      << log;
  EXPECT_TRUE(contains(
      log, "option needs a restart option=http.port works_with=8080 wanted=8081 place=troupe.yaml:2"))
      << log;
  const auto json = nlohmann::json::parse(rig.process.json());
  EXPECT_EQ(json["gateway.max_streams"]["value"], 10);
  EXPECT_EQ(json["http.port"]["value"], 8080);
  EXPECT_EQ(json["http.port"]["pending"]["value"], 8081);
  EXPECT_TRUE(rig.exposes("troupe_process_config_reloads_total{outcome=\"taken\"} 1"))
      << rig.registry.serialize();
  EXPECT_TRUE(rig.exposes("troupe_process_config_pending_options 1"));
}

TEST(ConfigReload, ABrokenFileChangesNothingAndItsLineIsLogged) {
  Rig rig("gateway: {max_streams: 9}\n");
  const std::string before = rig.process.json();
  for (const auto& [text, said] : {std::pair{"gateway:\n  max_streams: many\n", "troupe.yaml:2"},
                                   std::pair{"gateway:\n  max_streems: 3\n", "max_streams"},
                                   std::pair{"gateway: {max_streams: 3\n", "not YAML"},
                                   std::pair{"gateway: {max_streams: 0}\n", "1..65536"}}) {
    rig.yaml = text;
    bool changed = true;
    const std::string log = rig.reload(changed);
    EXPECT_FALSE(changed);
    EXPECT_TRUE(contains(log, " error ") && contains(log, said)) << log;
    EXPECT_EQ(rig.process.json(), before);
    EXPECT_EQ(rig.process.wanted().integer("gateway.max_streams"), 9);
  }
  EXPECT_TRUE(rig.exposes("troupe_process_config_reloads_total{outcome=\"refused\"} 4"))
      << rig.registry.serialize();
  EXPECT_TRUE(rig.exposes("troupe_process_config_reloads_total{outcome=\"taken\"} 0"));
}

TEST(ConfigReload, WhatWaitsIsForgottenWhenItIsTakenBack) {
  Rig rig("http: {port: 8080}\n");
  bool changed = true;
  rig.yaml = "http: {port: 8081}\n";
  (void)rig.reload(changed);
  EXPECT_FALSE(changed) << "nothing that works now is different";
  EXPECT_TRUE(rig.exposes("troupe_process_config_pending_options 1"));
  rig.yaml = "http: {port: 8080}\n";
  EXPECT_FALSE(contains(rig.reload(changed), "needs a restart"));
  EXPECT_TRUE(rig.exposes("troupe_process_config_pending_options 0"));
  EXPECT_FALSE(contains(rig.process.json(), "pending"));
}

}  // namespace
}  // namespace troupe::cli
