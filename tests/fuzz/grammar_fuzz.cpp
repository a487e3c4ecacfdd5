// Any bytes as a grammar: the first chooses the kind, the rest is its source. What compiles is followed for
// some tokens; a token is accepted exactly when the mask has it, and taking it back leaves the mask as it
// was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "common/grammar/matcher.hpp"

namespace {

using namespace troupe::grammar;
using troupe::TokenId;

void require(bool condition) {
  if (!condition) std::abort();
}

std::shared_ptr<const TokenTrie> vocabulary() {
  static const auto kTrie = [] {
    std::vector<std::string> texts;
    for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
    for (const char* piece : {"{\"", "\":", "\",", "\"}", "true", "ab", "12", "  ", "é", "a\"", "]}"})
      texts.emplace_back(piece);
    return std::make_shared<const TokenTrie>(std::move(texts));
  }();
  return kTrie;
}

void follow(const std::shared_ptr<const Grammar>& grammar, std::uint32_t choices) {
  AutomatonLimits limits;
  limits.states = 200;
  const auto automaton = std::make_shared<Automaton>(grammar, vocabulary(), limits);
  Matcher matcher(automaton);
  const auto tokens = static_cast<std::uint32_t>(vocabulary()->vocab());
  for (int step = 0; step < 12; ++step) {
    const auto mask = matcher.mask();
    const std::vector<std::uint64_t> before(mask.begin(), mask.end());
    (void)matcher.forced(32);
    (void)matcher.may_end();
    TokenId taken = -1;
    for (std::uint32_t i = 0; i < tokens && taken < 0; ++i) {
      const std::uint32_t token = (choices + i) % tokens;
      if ((before[token / 64] >> (token % 64) & 1) != 0) taken = static_cast<TokenId>(token);
    }
    if (taken < 0) return;
    choices = choices * 1664525u + 1013904223u;
    if (!matcher.accept(taken)) return;  // beyond what is followed of an ambiguous text
    matcher.rollback(1);
    const auto again = matcher.mask();
    require(std::vector<std::uint64_t>(again.begin(), again.end()) == before);
    require(matcher.accept(taken));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Source source{static_cast<Kind>(1 + data[0] % 6),
                      std::string(reinterpret_cast<const char*>(data) + 1, size - 1)};
  Limits limits;
  limits.states = 1u << 14;
  (void)check_strict(source.text);
  const auto grammar = compile(source, limits);
  if (grammar) follow(*grammar, static_cast<std::uint32_t>(size) * 7919u);
  return 0;
}
