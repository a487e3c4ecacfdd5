#include "services/cli/sha256.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace troupe::cli {
namespace {

std::string hash_of(std::string_view text) {
  Sha256 sha;
  sha.update(std::as_bytes(std::span(text)));
  return sha.finish();
}

TEST(Sha256, GivesThePublishedDigests) {  // FIPS 180-2, appendix B
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StreamsAFileAndReportsProgress) {
  const auto path =
      std::filesystem::temp_directory_path() / ("troupe-sha-test-" + std::to_string(::getpid()));
  const std::string content(3'000'000, 'x');
  std::ofstream(path) << content;
  std::uint64_t last = 0;
  int calls = 0;
  const auto hash = sha256_of_file(path, [&](std::uint64_t done) {
    EXPECT_GT(done, last);
    last = done;
    ++calls;
  });
  EXPECT_EQ(*hash, hash_of(content));
  EXPECT_EQ(last, content.size());
  EXPECT_EQ(calls, 3);
  std::filesystem::remove(path);
  EXPECT_EQ(sha256_of_file(path).error().code, Errc::file_not_found);
}

}  // namespace
}  // namespace troupe::cli
