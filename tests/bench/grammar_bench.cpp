// What structured output costs over a real vocabulary, and random answers to check.
//   grammar_bench [vocabulary.gguf]               compile and mask times over tests/common/grammar/schemas
//   grammar_bench --walks N [vocabulary.gguf]     N random answers a schema, as JSON lines {"schema", "text"}
// Without a file: SmolLM2's vocabulary.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/grammar/matcher.hpp"
#include "common/tokenizer/token_texts.hpp"

namespace {

using namespace troupe;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Schema {
  std::string name, text;
};

std::string environment(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

std::vector<Schema> schemas() {
  std::vector<Schema> out{{"any object", ""}};
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/common/grammar/schemas"))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream in(path);
    out.push_back({path.stem().string(), Json::parse(in)["schema"].dump()});
  }
  return out;
}

double microseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

std::string percentiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    return values[std::min(values.size() - 1,
                           static_cast<std::size_t>(part * static_cast<double>(values.size())))];
  };
  return fmt::format("p50 {:.1f}, p95 {:.1f}, p99 {:.1f}, most {:.1f} us ({} samples)", at(0.5), at(0.95),
                     at(0.99), values.back(), values.size());
}

/// A token drawn from the mask; those that close something half of the time.
TokenId pick(std::span<const std::uint64_t> mask, const grammar::TokenTrie& vocabulary,
             std::mt19937_64& random) {
  std::vector<TokenId> all, closing;
  for (std::size_t word = 0; word < mask.size(); ++word)
    for (std::uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
      const auto token = static_cast<TokenId>(word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits)));
      all.push_back(token);
      if (std::string_view("\"}]").find(vocabulary.bytes(token).back()) != std::string_view::npos)
        closing.push_back(token);
    }
  const auto& from = !closing.empty() && random() % 2 == 0 ? closing : all;
  return from.empty() ? -1 : from[random() % from.size()];
}

struct Times {
  std::vector<double> mask, accept;
};

/// Empty: not whole within `most` tokens.
std::string answer(const std::shared_ptr<grammar::Automaton>& automaton, std::mt19937_64& random,
                   Times& times, int most = 400) {
  grammar::Matcher matcher(automaton);
  std::string text;
  for (int i = 0; i < most; ++i) {
    if (matcher.may_end() && (matcher.complete() || random() % 4 == 0)) return text;
    auto begin = Clock::now();
    const auto mask = matcher.mask();
    times.mask.push_back(microseconds(begin));
    const TokenId token = pick(mask, automaton->vocabulary(), random);
    if (token < 0) return {};
    begin = Clock::now();
    if (!matcher.accept(token)) return {};
    times.accept.push_back(microseconds(begin));
    text += automaton->vocabulary().bytes(token);
  }
  return {};
}

std::shared_ptr<grammar::Automaton> compile(const Schema& schema,
                                            const std::shared_ptr<const grammar::TokenTrie>& trie) {
  const auto kind = schema.text.empty() ? grammar::Kind::json_object : grammar::Kind::json_schema;
  auto made = grammar::compile({kind, schema.text});
  if (!made) {
    fmt::print(stderr, "{}: {}\n", schema.name, made.error().detail);
    std::exit(1);
  }
  return std::make_shared<grammar::Automaton>(*made, trie);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  int walks = 0;
  if (arguments.size() >= 2 && arguments[0] == "--walks") {
    walks = std::atoi(arguments[1].c_str());
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  const std::string cache = environment("XDG_CACHE_HOME", environment("HOME", "") + "/.cache");
  const std::filesystem::path file_name =
      !arguments.empty() ? std::filesystem::path(arguments[0])
                         : std::filesystem::path(environment("TROUPE_MODELS", cache + "/troupe/models")) /
                               "SmolLM2-135M-Instruct.Q4_1.gguf";
  const auto file = gguf::File::open(file_name);
  if (!file) return fmt::print(stderr, "{}\n", to_string(file.error())), 2;
  const auto tokenizer = Tokenizer::from_gguf(**file);
  if (!tokenizer) return fmt::print(stderr, "{}\n", to_string(tokenizer.error())), 2;
  const auto begin = Clock::now();
  const auto trie = std::make_shared<const grammar::TokenTrie>(token_texts(**tokenizer));
  const double trie_time = microseconds(begin);
  std::mt19937_64 random(17);
  std::vector<double> compiles;
  Times first, later;
  for (const Schema& schema : schemas()) {
    const auto started = Clock::now();
    const auto automaton = compile(schema, trie);
    compiles.push_back(microseconds(started));
    for (int i = 0; i < std::max(walks, 10); ++i) {
      const std::string text = answer(automaton, random, i == 0 ? first : later);
      if (walks > 0 && i < walks && !text.empty())
        std::cout << Json{{"schema", schema.name}, {"text", text}}.dump() << "\n";
    }
  }
  if (walks > 0) return 0;
  fmt::print("vocabulary: {} tokens, {} nodes, longest {} bytes, {:.1f} ms\n", trie->vocab(), trie->nodes(),
             trie->longest(), trie_time / 1000);
  fmt::print("compile:             {}\n", percentiles(compiles));
  fmt::print("mask, first answer:  {}\n", percentiles(first.mask));
  fmt::print("mask, later answers: {}\n", percentiles(later.mask));
  fmt::print("accept:              {}\n", percentiles(later.accept));
  return 0;
}
