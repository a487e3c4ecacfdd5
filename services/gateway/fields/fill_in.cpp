#include "services/gateway/fields/fill_in.hpp"

#include <array>
#include <string_view>

#include "common/tokenizer/tokenizer.hpp"

namespace troupe::gateway {
namespace {

struct Spelling {
  std::string_view prefix, suffix, middle;
};
constexpr std::array kSpellings{
    Spelling{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
    Spelling{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
    Spelling{"<\xEF\xBD\x9C"
             "fim\xE2\x96\x81"
             "begin\xEF\xBD\x9C>",
             "<\xEF\xBD\x9C"
             "fim\xE2\x96\x81"
             "hole\xEF\xBD\x9C>",
             "<\xEF\xBD\x9C"
             "fim\xE2\x96\x81"
             "end\xEF\xBD\x9C>"},
};

std::optional<TokenId> token_of(std::string_view spelling, const Tokenizer& tokenizer) {
  const auto ids = tokenizer.encode(spelling, SpecialTokens::parse, false);
  if (!ids || ids->size() != 1 || tokenizer.token_text(ids->front()) != spelling) return std::nullopt;
  return ids->front();
}

}  // namespace

std::optional<FillInTokens> fill_in_tokens(const Tokenizer& tokenizer) {
  for (const Spelling& spelling : kSpellings) {
    const auto prefix = token_of(spelling.prefix, tokenizer), suffix = token_of(spelling.suffix, tokenizer),
               middle = token_of(spelling.middle, tokenizer);
    if (prefix && suffix && middle) return FillInTokens{*prefix, *suffix, *middle};
  }
  return std::nullopt;
}

std::vector<TokenId> fill_in_prompt(const FillInTokens& marks, std::span<const TokenId> before,
                                    std::span<const TokenId> after, TokenId begin_token) {
  std::vector<TokenId> out;
  if (!before.empty() && before.front() == begin_token) {
    out.push_back(begin_token);
    before = before.subspan(1);
  }
  out.push_back(marks.prefix);
  out.insert(out.end(), before.begin(), before.end());
  out.push_back(marks.suffix);
  out.insert(out.end(), after.begin(), after.end());
  out.push_back(marks.middle);
  return out;
}

}  // namespace troupe::gateway
