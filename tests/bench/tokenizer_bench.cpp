// How fast one core turns English into ids and back: tokenizer_bench [vocabulary.gguf [text file]] [seconds]
// Without arguments: SmolLM2's vocabulary over the prompts of Spec-Bench (680 KB of English questions and
// articles).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/tokenizer/tokenizer.hpp"

namespace {

using Clock = std::chrono::steady_clock;

std::string environment(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

std::filesystem::path default_vocabulary() {
  const auto cache = environment("XDG_CACHE_HOME", environment("HOME", "") + "/.cache");
  return std::filesystem::path(environment("TROUPE_MODELS", cache + "/troupe/models")) /
         "SmolLM2-135M-Instruct.Q4_1.gguf";
}

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> default_texts() {
  std::ifstream in(std::filesystem::path(environment("TROUPE_SHARED", "../shared")) /
                   "data/prompts/spec_bench.jsonl");
  std::vector<std::string> texts;
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.contains("turns"))
      for (const auto& turn : row["turns"]) texts.push_back(turn.get<std::string>());
  }
  return texts;
}

/// Best of the rounds that fit in `seconds`: the least disturbed one.
template <class Round>
double best_megabytes_per_second(std::size_t bytes, double seconds, const Round& round) {
  double best = 0;
  const auto stop = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto begin = Clock::now();
    round();
    const std::chrono::duration<double> took = Clock::now() - begin;
    best = std::max(best, static_cast<double>(bytes) / 1e6 / took.count());
  } while (Clock::now() < stop);
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path path = argc > 1 ? std::filesystem::path(argv[1]) : default_vocabulary();
  const std::vector<std::string> texts =
      argc > 2 ? std::vector<std::string>{read_whole(argv[2])} : default_texts();
  const double seconds = argc > 3 ? std::strtod(argv[3], nullptr) : 1.0;
  const auto file = troupe::gguf::File::open(path);
  if (!file) return fmt::print(stderr, "{}\n", troupe::to_string(file.error())), 2;
  const auto begin = Clock::now();
  const auto made = troupe::Tokenizer::from_gguf(**file);
  const std::chrono::duration<double, std::milli> load = Clock::now() - begin;
  if (!made) return fmt::print(stderr, "{}\n", troupe::to_string(made.error())), 2;
  const troupe::Tokenizer& tokenizer = **made;

  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  if (bytes == 0) return fmt::print(stderr, "no text: name a file, or set TROUPE_SHARED\n"), 2;
  std::vector<std::vector<troupe::TokenId>> ids(texts.size());
  std::size_t tokens = 0;
  const double encode = best_megabytes_per_second(bytes, seconds, [&] {
    tokens = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ids[i] = tokenizer.encode(texts[i], troupe::SpecialTokens::as_text, false)
                   .value_or(std::vector<troupe::TokenId>{});
      tokens += ids[i].size();
    }
  });
  std::size_t decoded = 0;
  const double decode = best_megabytes_per_second(bytes, seconds, [&] {
    decoded = 0;
    for (const auto& row : ids) decoded += tokenizer.decode(row).value_or("").size();
  });
  fmt::print("{}: load {:.0f} ms; {} texts, {} bytes, {} tokens; encode {:.1f} MB/s, decode {:.1f} MB/s{}\n",
             path.filename().string(), load.count(), texts.size(), bytes, tokens, encode, decode,
             decoded == bytes ? "" : " (decoded size differs)");
  return 0;
}
