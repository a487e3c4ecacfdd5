// Samplers against what a script that shares no code with them found (tests/golden/make_sampler_golden.py).
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "common/sampling/dry.hpp"
#include "common/sampling/sampler.hpp"

namespace troupe {
namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) out.push_back(part);
  return out;
}

std::vector<TokenId> tokens_of(const std::string& text) {
  std::vector<TokenId> out;
  if (text != "-")
    for (const std::string& token : split(text, ',')) out.push_back(std::stoi(token));
  return out;
}

std::vector<std::vector<std::string>> lines_of(const std::string& kind) {
  std::ifstream in("tests/golden/samplers.txt");
  std::vector<std::vector<std::string>> out;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(kind + " ")) out.push_back(split(line, ' '));
  return out;
}

TEST(SamplerGolden, DryPenalisesWhatTheScriptFound) {
  const auto lines = lines_of("dry");
  ASSERT_EQ(lines.size(), 250u);
  std::size_t penalised = 0;
  for (const auto& line : lines) {
    DryParams dry;
    dry.multiplier = std::stof(line[1]), dry.base = std::stof(line[2]);
    dry.allowed_length = static_cast<std::uint32_t>(std::stoul(line[3])), dry.last_n = std::stoi(line[4]);
    dry.breakers = tokens_of(line[5]);
    if (line[6] != "-")
      for (const std::string& run : split(line[6], ';')) dry.breaker_runs.push_back(tokens_of(run));
    std::map<TokenId, double> expected;
    if (line[8] != "-")
      for (const std::string& entry : split(line[8], ';'))
        expected[std::stoi(entry)] = std::stod(entry.substr(entry.find(':') + 1));
    const std::vector<TokenId> tokens = tokens_of(line[7]);
    const auto found = dry_penalties(tokens, dry);
    ASSERT_EQ(found.size(), expected.size()) << line[7];
    for (const auto& [token, penalty] : found) {
      ASSERT_TRUE(expected.contains(token)) << line[7];
      EXPECT_NEAR(penalty, expected[token], 1e-5 * expected[token]) << line[7];
    }
    penalised += found.size();
  }
  EXPECT_GT(penalised, 300u);
}

void set(SamplingParams& params, const std::string& name, const std::string& value) {
  const std::map<std::string, float SamplingParams::*> reals{{"temperature", &SamplingParams::temperature},
                                                             {"top_p", &SamplingParams::top_p},
                                                             {"min_p", &SamplingParams::min_p},
                                                             {"typical_p", &SamplingParams::typical_p},
                                                             {"top_n_sigma", &SamplingParams::top_n_sigma},
                                                             {"xtc_probability", &SamplingParams::xtc_probability},
                                                             {"xtc_threshold", &SamplingParams::xtc_threshold},
                                                             {"dynatemp_range", &SamplingParams::dynatemp_range},
                                                             {"dynatemp_exponent", &SamplingParams::dynatemp_exponent}};
  if (name == "top_k") {
    params.top_k = static_cast<std::uint32_t>(std::stoul(value));
  } else {
    params.*reals.at(name) = std::stof(value);
  }
}

TEST(SamplerGolden, DrawsAreThoseOfTheScript) {
  const auto lines = lines_of("draw");
  ASSERT_EQ(lines.size(), 400u);
  for (const auto& line : lines) {
    SamplingParams params;
    for (const std::string& option : split(line[1], ',')) {
      const auto equals = option.find('=');
      set(params, option.substr(0, equals), option.substr(equals + 1));
    }
    params.seed = std::stoull(line[2]);
    const auto choice = static_cast<std::uint32_t>(std::stoul(line[3]));
    const std::uint64_t position = std::stoull(line[4]);
    std::vector<float> logits;
    for (const TokenId sixty_fourths : tokens_of(line[5])) logits.push_back(static_cast<float>(sixty_fourths) / 64.0f);
    ASSERT_TRUE(validate(params, static_cast<std::uint32_t>(logits.size())));
    EXPECT_EQ(sample(logits, params, nullptr, choice, position).token, std::stoi(line[6])) << line[1];
    // Behind tokens that cannot be drawn there are more tokens than a draw looks at one by one.
    logits.resize(2000, -1e30f);
    if (params.top_n_sigma == 0.0f && params.typical_p == 1.0f && params.dynatemp_range == 0.0f) {
      EXPECT_EQ(sample(logits, params, nullptr, choice, position).token, std::stoi(line[6])) << "padded, " << line[1];
    }
  }
}

}  // namespace
}  // namespace troupe
