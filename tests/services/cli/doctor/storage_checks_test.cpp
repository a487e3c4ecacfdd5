#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "common/config/model_catalog.hpp"
#include "services/cli/doctor/checks.hpp"
#include "tests/services/cli/doctor/fake_machine.hpp"

namespace troupe::cli::doctor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

/// A models folder with the default model's name in it; what the file holds is the machine's word.
class DoctorStorage : public testing::Test {
 protected:
  static constexpr auto kMiB = FakeMachine::kMiB, kGiB = FakeMachine::kGiB;

  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("troupe-doctor-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    std::ofstream(folder_ / known_models()[0].file) << "a stand-in";
    std::ofstream(folder_ / "own.gguf") << "a stand-in";
  }
  void TearDown() override { fs::remove_all(folder_); }
  Subjects serve(Arguments more = {}) const {
    more.insert(more.end(), {"--models", folder_.string()});
    return subjects_of(std::move(more));
  }
  fs::path folder_;
  FakeMachine machine;
};

TEST_F(DoctorStorage, AKnownModelMustHaveItsHash) {
  EXPECT_THAT(spelled(check_models(serve(), machine)), StartsWith("ok: smollm2-135m-instruct: "));
  machine.hash.assign(64, '0');
  EXPECT_THAT(spelled(check_models(serve(), machine)),
              HasSubstr("has SHA-256 0000000000000000..., the known file b179c95"));
  EXPECT_THAT(spelled(check_models(serve(), machine)),
              HasSubstr("| remove it, then: troupe models pull smollm2"));
  machine.bytes = 5;
  EXPECT_THAT(spelled(check_models(serve(), machine)), HasSubstr("has 5 bytes, the known file 98362432"));
}

TEST_F(DoctorStorage, AModelThatIsNotThereSaysHowToGetIt) {
  EXPECT_THAT(spelled(check_models(serve({"--model", "gemma-3-270m"}), machine)),
              HasSubstr("get it with: troupe models pull gemma-3-270m"));
  EXPECT_THAT(spelled(check_models(serve({"--model", "gema-3-270m"}), machine)),
              HasSubstr("did you mean gemma-3-270m?"));
  EXPECT_TRUE(check_models(subjects_of({"--role", "router"}), machine).empty());
}

TEST_F(DoctorStorage, AnotherFileMustBeWhole) {
  const Arguments own{"--model", (folder_ / "own.gguf").string()};
  EXPECT_THAT(spelled(check_models(serve(own), machine)), HasSubstr("is whole"));
  machine.facts = fail(Errc::file_malformed, "own.gguf: cut short");
  EXPECT_THAT(spelled(check_models(serve(own), machine)),
              StartsWith("problem: file_malformed: own.gguf: cut short"));
}

TEST_F(DoctorStorage, MemoryHoldsWeightsAndPages) {
  EXPECT_EQ(spelled(check_memory(serve(), machine)),
            "ok: 100 MiB of weights; of 16 GiB 12 GiB are free; a worker's pages take a quarter of that\n");
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "1GiB"}), machine)),
              StartsWith("ok: 100 MiB of weights and 1.0 GiB of KV pages"));
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "13GiB"}), machine)),
              HasSubstr("would not start beside"));
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "17GiB"}), machine)),
              StartsWith("problem: 100 MiB of weights and 17 GiB"));
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "11GiB", "--kv-swap-bytes", "1GiB"}), machine)),
              HasSubstr("too little for kv.swap_bytes"));
}

TEST_F(DoctorStorage, APoolHoldsAtLeastOneRequestOfFullContext) {
  // 4,096 tokens are 64 pages of 1 MiB.
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "64MiB"}), machine)), StartsWith("ok"));
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "63MiB"}), machine)),
              HasSubstr("KV pages hold 4032 tokens, less than the model's context"));
  EXPECT_THAT(spelled(check_memory(serve({"--kv-bytes", "1MiB"}), machine)), StartsWith("problem"));
  machine.room.free_bytes = 104 * kMiB;  // of which a quarter after the weights is one page
  EXPECT_THAT(spelled(check_memory(serve(), machine)), HasSubstr("problem: serve: 1.0 MiB for KV pages"));
}

TEST_F(DoctorStorage, TheWorkersOfAClusterFileShareTheMemory) {
  const Subjects cluster =
      subjects_of({"deploy/cluster.yaml", "--models", folder_.string(), "--kv-bytes", "6GiB"});
  EXPECT_THAT(spelled(check_memory(cluster, machine)),
              StartsWith("warning: 200 MiB of weights and 12 GiB of KV pages"));
}

TEST_F(DoctorStorage, TheDiskTierNeedsRoomAndPermission) {
  EXPECT_TRUE(check_disk_tier(serve(), machine).empty());
  const Arguments disk{"--kv-disk-path", "/var/cache/pages", "--kv-disk-capacity", "10GiB"};
  EXPECT_THAT(spelled(check_disk_tier(serve(disk), machine)),
              StartsWith("ok: /var/cache/pages has 100 GiB free"));
  machine.disk_room = {2 * kGiB, 3 * kGiB};
  EXPECT_THAT(spelled(check_disk_tier(serve(disk), machine)), HasSubstr("writing pauses when it is full"));
  machine.disk_room = {2 * kGiB, 8 * kGiB};  // what it fills already is its own
  EXPECT_THAT(spelled(check_disk_tier(serve(disk), machine)), StartsWith("ok"));
  machine.write = fail(Errc::io_failed, "/var/cache/pages: Permission denied");
  EXPECT_THAT(spelled(check_disk_tier(serve(disk), machine)),
              StartsWith("problem: /var/cache/pages: Permission denied"));
}

}  // namespace
}  // namespace troupe::cli::doctor
