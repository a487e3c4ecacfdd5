#include "services/gateway/fields/prompt_scores.hpp"

#include <algorithm>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

void append_entry(std::string& out, TokenId token, float logprob, std::size_t rank,
                  const AnswerFormat& format) {
  out += '"';
  out += std::to_string(token);
  out += "\":{\"logprob\":";
  append_logprob(out, logprob);
  out += ",\"rank\":";
  out += rank == 0 ? "null" : std::to_string(rank);
  out += ",\"decoded_token\":";
  append_quoted(out, format.token_label(token));
  out += '}';
}

void append_scored(std::string& out, const GeneratedToken& scored, std::uint32_t alternatives,
                   const AnswerFormat& format) {
  const auto found = std::ranges::find(scored.top, scored.token, &TokenLogprob::token);
  const std::size_t rank =
      found == scored.top.end() ? 0 : static_cast<std::size_t>(found - scored.top.begin()) + 1;
  out += '{';
  append_entry(out, scored.token, scored.logprob, rank, format);
  for (std::size_t i = 0; i < std::min<std::size_t>(scored.top.size(), alternatives); ++i) {
    if (i + 1 == rank) continue;
    out += ',';
    append_entry(out, scored.top[i].token, scored.top[i].logprob, i + 1, format);
  }
  out += '}';
}

}  // namespace

std::string prompt_scores(std::span<const TokenId> prompt, std::span<const GeneratedToken> scores,
                          std::uint32_t alternatives, const AnswerFormat& format) {
  const std::size_t skipped = prompt.size() - std::min(prompt.size(), scores.size());
  const std::size_t unscored = std::max<std::size_t>(1, skipped);
  std::string out = "[";
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    if (i != 0) out += ',';
    if (i < unscored) {
      out += "null";
    } else {
      append_scored(out, scores[i - skipped], alternatives, format);
    }
  }
  return out + "]";
}

}  // namespace troupe::gateway
