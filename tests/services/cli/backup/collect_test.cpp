#include "services/cli/backup/collect.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <fstream>

#include "common/config/options.hpp"
#include "common/transport/curve.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

void write(const std::filesystem::path& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), mode);
}

const BackupFile* file_at(const Backup& backup, const std::filesystem::path& path) {
  for (const BackupFile& file : backup.files)
    if (file.path == path.string()) return &file;
  return nullptr;
}

/// A machine with a configuration, keys, a certificate, a secret and a model.
struct Machine {
  Machine() {
    EXPECT_TRUE(security::make_keys(folder / "keys", {make_curve_pair, {}}));
    write(folder / "troupe.yaml",
          "model: [" + (folder / "m.gguf").string() + "]\nsecurity: {keys: " + (folder / "keys").string() +
              "}\nhttp: {tls: {certificate: " + (folder / "tls.crt").string() +
              ", key: " + (folder / "tls.key").string() + "}}\ngateway: {api_keys: " +
              (folder / "api-keys.yaml").string() + "}\n",
          0640);
    write(folder / "tls.crt", "a certificate", 0644);
    write(folder / "tls.key", "its key");
    write(folder / "api-keys.yaml", "keys: []\n");
    write(folder / "password", "hunter2\n");
    write(folder / "cluster.yaml", "processes: []\n");
    write(folder / "m.gguf", "weights");
    options.config_file = (folder / "troupe.yaml").string();
    options.environment = {{"TROUPE_CONFIG", options.config_file},
                           {"TROUPE_CLUSTER_DIRECTORY_PASSWORD_FILE", (folder / "password").string()},
                           {"HOME", "/nowhere"}};
    options.more = {(folder / "cluster.yaml").string()};
  }
  Expected<Backup> collect() const {
    ConfigSources sources;
    sources.environment = options.environment;
    const auto config = Config::load(product_schema(), sources);
    EXPECT_TRUE(config) << (config ? "" : to_string(config.error()));
    return collect_backup(*config, options);
  }
  test::SecretFolder folder;
  CollectOptions options;
};

TEST(CollectBackup, FindsWhatTheConfigurationNames) {
  const Machine machine;
  const auto backup = machine.collect();
  ASSERT_TRUE(backup) << to_string(backup.error());
  const auto kind = [&](const char* name) {
    const BackupFile* file = file_at(*backup, machine.folder / name);
    return file == nullptr ? std::string("-") : file->kind;
  };
  EXPECT_EQ(kind("troupe.yaml"), "config");
  EXPECT_EQ(kind("tls.crt"), "tls");
  EXPECT_EQ(kind("tls.key"), "tls");
  EXPECT_EQ(kind("api-keys.yaml"), "api_keys");
  EXPECT_EQ(kind("password"), "secret");
  EXPECT_EQ(kind("cluster.yaml"), "file");
  EXPECT_EQ(kind("m.gguf"), "-") << "weights are not in it";
  for (const char* key :
       {"current", "1.curve", "2.curve", "1.node.key", "1.node.pem", "1.ca.pem", "authorities.pem"})
    EXPECT_EQ(kind((std::string("keys/") + key).c_str()), "keys") << key;
  EXPECT_EQ(file_at(*backup, machine.folder / "troupe.yaml")->mode, 0640u);
  EXPECT_EQ(file_at(*backup, machine.folder / "password")->content, "hunter2\n");
  EXPECT_FALSE(file_at(*backup, machine.folder / "password")->owner.empty());
  ASSERT_EQ(backup->models.size(), 1u);
  EXPECT_EQ(backup->models[0].name, "m");
  EXPECT_EQ(backup->models[0].bytes, 7u);
  EXPECT_EQ(backup->models[0].sha256, "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c");
  EXPECT_EQ(backup->variables,
            (std::vector<std::string>{"TROUPE_CLUSTER_DIRECTORY_PASSWORD_FILE", "TROUPE_CONFIG"}));
  EXPECT_EQ(backup->options.find("hunter2"), std::string::npos);
  EXPECT_NE(backup->options.find("m.gguf"), std::string::npos);
}

TEST(CollectBackup, AModelThatIsNotHereHasANameAlone) {
  Machine machine;
  std::filesystem::remove(machine.folder / "m.gguf");
  const auto backup = machine.collect();
  ASSERT_TRUE(backup) << to_string(backup.error());
  ASSERT_EQ(backup->models.size(), 1u);
  EXPECT_TRUE(backup->models[0].sha256.empty());
}

TEST(CollectBackup, RootSavesTheKeysOfTheServicesUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may read them";
  const Machine machine;
  for (const auto& entry : std::filesystem::directory_iterator(machine.folder / "keys"))
    ASSERT_EQ(::chown(entry.path().c_str(), 65534, 65534), 0);
  ASSERT_EQ(::chown((machine.folder / "keys").c_str(), 65534, 65534), 0);
  const auto backup = machine.collect();
  ASSERT_TRUE(backup) << to_string(backup.error());
  EXPECT_NE(file_at(*backup, machine.folder / "keys/1.curve")->owner, "root");
}

TEST(CollectBackup, WhatIsNamedAndCannotBeReadIsAnError) {
  Machine gone;
  gone.options.more.push_back((gone.folder / "nothing").string());
  EXPECT_EQ(gone.collect().error().code, Errc::file_not_found);
  Machine large;
  write(large.folder / "cluster.yaml", std::string((1u << 20) + 1, 'x'));
  EXPECT_EQ(large.collect().error().code, Errc::file_malformed);
  Machine folder;
  folder.options.more = {folder.folder.path().string()};
  EXPECT_EQ(folder.collect().error().code, Errc::file_malformed);
  Machine torn;
  std::filesystem::remove(torn.folder / "keys/1.curve");
  EXPECT_FALSE(torn.collect()) << "keys that no member could use are no backup";
}

}  // namespace
}  // namespace troupe::cli
