#include "services/cli/backup/backup_command.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/transport/curve.hpp"
#include "tests/support/key_folder.hpp"

namespace troupe::cli {
namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

/// A machine whose files a test saves and loses.
struct Machine {
  Machine() {
    EXPECT_TRUE(security::make_keys(folder / "keys", {make_curve_pair, {}}));
    std::ofstream(folder / "troupe.yaml") << "security: {keys: " << (folder / "keys").string() << "}\n";
    std::ofstream(folder / "password") << "hunter2\n";
    environment = {{"TROUPE_CONFIG", (folder / "troupe.yaml").string()},
                   {"TROUPE_MODELS", (folder / "models").string()},
                   {"TROUPE_CLUSTER_DIRECTORY_PASSWORD_FILE", (folder / "password").string()}};
  }
  Ran run(int (*command)(Arguments, Io&), Arguments arguments) const {
    std::ostringstream out;
    std::ostringstream err;
    Io io{out, err, 0, environment};
    const int code = command(std::move(arguments), io);
    return {code, out.str(), err.str()};
  }
  Ran backup(Arguments more = {}) const {
    Arguments arguments{"--to", file()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(backup_command, arguments);
  }
  [[nodiscard]] std::string file() const { return (folder / "backup.tar").string(); }

  test::SecretFolder folder;
  std::vector<std::pair<std::string, std::string>> environment;
};

TEST(BackupCommand, SavesWhatWasThereAndRestorePutsItBack) {
  const Machine machine;
  const std::string key = test::text_of_file(machine.folder / "keys/1.curve");
  const Ran saved = machine.backup();
  ASSERT_EQ(saved.code, ok) << saved.err;
  struct stat about {};
  ASSERT_EQ(::stat(machine.file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  std::filesystem::remove_all(machine.folder / "keys");
  std::filesystem::remove(machine.folder / "troupe.yaml");
  const Ran checked = machine.run(restore_command, {"--from", machine.file(), "--check"});
  EXPECT_EQ(checked.code, ok) << checked.err;
  EXPECT_NE(checked.out.find("keys/1.curve"), std::string::npos) << checked.out;
  EXPECT_FALSE(std::filesystem::exists(machine.folder / "keys")) << "--check writes nothing";
  const Ran restored = machine.run(restore_command, {"--from", machine.file()});
  ASSERT_EQ(restored.code, ok) << restored.err;
  EXPECT_EQ(test::text_of_file(machine.folder / "keys/1.curve"), key);
  EXPECT_TRUE(security::load_keys(machine.folder / "keys"));
  EXPECT_NE(restored.out.find("was not on the machine"), std::string::npos) << restored.out;
  for (const std::string& text : {saved.out, saved.err, checked.out, restored.out}) {
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    EXPECT_EQ(text.find(key.substr(0, 40)), std::string::npos) << text;
  }
}

TEST(BackupCommand, ReplacesNothingWithoutForce) {
  const Machine machine;
  ASSERT_EQ(machine.backup().code, ok);
  const std::string before = test::text_of_file(machine.file());
  std::ofstream(machine.folder / "password") << "another\n";
  const Ran refused = machine.backup();
  EXPECT_EQ(refused.code, bad_input);
  EXPECT_NE(refused.err.find("--force"), std::string::npos);
  EXPECT_EQ(test::text_of_file(machine.file()), before);
  const Ran over = machine.run(restore_command, {"--from", machine.file()});
  EXPECT_EQ(over.code, bad_input);
  EXPECT_NE(over.err.find((machine.folder / "password").string()), std::string::npos) << over.err;
  EXPECT_EQ(test::text_of_file(machine.folder / "password"), "another\n");
  EXPECT_EQ(machine.run(restore_command, {"--from", machine.file(), "--force"}).code, ok);
  EXPECT_EQ(test::text_of_file(machine.folder / "password"), "hunter2\n");
  EXPECT_EQ(machine.backup({"--force"}).code, ok);
}

TEST(BackupCommand, ADamagedOrOpenBackupIsRefusedBeforeAnythingIsWritten) {
  const Machine machine;
  ASSERT_EQ(machine.backup().code, ok);
  std::filesystem::remove(machine.folder / "password");
  const std::string good = test::text_of_file(machine.file());
  const auto put = [&](const std::string& bytes) {
    std::ofstream(machine.file(), std::ios::binary) << bytes;
  };
  for (const std::size_t at : {std::size_t{0}, std::size_t{600}, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 8);
    put(bad);
    EXPECT_EQ(machine.run(restore_command, {"--from", machine.file()}).code, bad_input) << at;
  }
  put(good.substr(0, good.size() - 512));
  EXPECT_EQ(machine.run(restore_command, {"--from", machine.file()}).code, bad_input);
  put(good);
  ::chmod(machine.file().c_str(), 0644);
  const Ran open = machine.run(restore_command, {"--from", machine.file()});
  EXPECT_EQ(open.code, bad_input);
  EXPECT_NE(open.err.find("chmod 600"), std::string::npos) << open.err;
  EXPECT_FALSE(std::filesystem::exists(machine.folder / "password"));
}

TEST(BackupCommand, WrongUseIsBadInput) {
  const Machine machine;
  EXPECT_EQ(machine.run(backup_command, {}).code, bad_input);
  EXPECT_EQ(machine.run(restore_command, {}).code, bad_input);
  EXPECT_EQ(machine.backup({"--file", "/no/such/file"}).code, bad_input);
  EXPECT_EQ(machine.backup({"word"}).code, bad_input);
  EXPECT_EQ(machine.backup({"--role", "router", "--http-port", "1"}).code, bad_input)
      << "a router has no such flag";
  EXPECT_EQ(machine.run(restore_command, {"--from", machine.file()}).code, bad_input) << "there is none yet";
  EXPECT_EQ(machine.run(restore_command, {"--from", "x", "word"}).code, bad_input);
}

}  // namespace
}  // namespace troupe::cli
