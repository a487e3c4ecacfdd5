// Bytes of every released message version stay in tests/golden/wire/<Message>.v<version>.hex: what an older process sent
// must still be read. TROUPE_UPDATE_GOLDEN=1 writes files for new versions and never touches existing ones.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/common/wire/samples.hpp"

namespace troupe::wire {
namespace {

const std::filesystem::path kFolder = "tests/golden/wire";

std::string to_hex_text(const std::vector<std::uint8_t>& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
    if (i % 48 == 47) text.push_back('\n');
  }
  return text + "\n";
}

std::vector<std::uint8_t> from_hex_text(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  std::string digits;
  for (const char c : text) {
    if (c == '\n') continue;
    digits.push_back(c);
    if (digits.size() == 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return bytes;
}

std::uint16_t version_of(const Envelope& sample) {
  return static_cast<std::uint16_t>(sample.payload[0] | (sample.payload[1] << 8));
}

TEST(WireGolden, TheCurrentBytesAreTheCommittedOnes) {
  for (const Envelope& sample : message_samples()) {
    const auto file = kFolder / (std::string(message_name(sample.type)) + ".v" + std::to_string(version_of(sample)) + ".hex");
    if (!std::filesystem::exists(file) && std::getenv("TROUPE_UPDATE_GOLDEN") != nullptr) {
      std::filesystem::create_directories(kFolder);
      std::ofstream(file) << to_hex_text(sample.payload);
    }
    std::ifstream in(file);
    ASSERT_TRUE(in.good()) << file << " is missing";
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_EQ(text.str(), to_hex_text(sample.payload)) << file;
  }
}

TEST(WireGolden, EveryCommittedVersionIsStillRead) {
  std::map<std::string, std::uint16_t> numbers;
#define X(name, number) numbers[#name] = number;
#include "common/wire/message_ids.def"
#include "common/wire/draft_message_ids.def"
#undef X
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string stem = entry.path().filename().string();
    const std::string name = stem.substr(0, stem.find('.'));
    ASSERT_TRUE(numbers.contains(name)) << stem;
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    const auto result = recode(Envelope{numbers[name], {}, from_hex_text(text.str())});
    EXPECT_TRUE(result.has_value()) << stem << ": " << (result ? "" : to_string(result.error()));
    ++files;
  }
  EXPECT_GE(files, 22);
}

}  // namespace
}  // namespace troupe::wire
