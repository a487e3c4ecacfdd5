#include "common/worker/token_entries.hpp"

#include <utility>

namespace troupe::worker {
namespace {

constexpr std::size_t kEntryBytes = 80;  ///< without tokens and error, its score included; a little more than it takes

std::size_t token_bytes(const wire::WireToken& token) {
  return 12 + token.top.size() * 8;
}

/// Moves tokens from `from` (starting at `at`) until `budget` is used; at least one.
std::vector<wire::WireToken> take_some(std::vector<wire::WireToken>& from, std::size_t& at,
                                       std::size_t budget) {
  std::vector<wire::WireToken> part;
  std::size_t used = 0;
  while (at < from.size() && (part.empty() || used + token_bytes(from[at]) <= budget)) {
    used += token_bytes(from[at]);
    part.push_back(std::move(from[at++]));
  }
  return part;
}

}  // namespace

wire::WireToken to_wire(const GeneratedToken& token) {
  wire::WireToken out{token.token, token.logprob, {}};
  for (const TokenLogprob& top : token.top) out.top.emplace_back(top.token, top.logprob);
  return out;
}

GeneratedToken from_wire(const wire::WireToken& token) {
  GeneratedToken out{token.token, token.logprob, {}};
  for (const auto& [id, logprob] : token.top) out.top.push_back({id, logprob});
  return out;
}

std::size_t entry_bytes(const wire::Tokens::Entry& entry) {
  std::size_t bytes = kEntryBytes + (entry.error ? entry.error->detail.size() + 8 : 0);
  for (const auto& token : entry.tokens) bytes += token_bytes(token);
  for (const auto& token : entry.prompt_tokens) bytes += token_bytes(token);
  return bytes;
}

std::vector<wire::Tokens::Entry> split_entry(wire::Tokens::Entry entry, std::size_t most_bytes) {
  std::vector<wire::Tokens::Entry> parts;
  if (entry_bytes(entry) <= most_bytes) {
    parts.push_back(std::move(entry));
    return parts;
  }
  auto prompt = std::exchange(entry.prompt_tokens, {});
  auto tokens = std::exchange(entry.tokens, {});
  const FinishReason finish = std::exchange(entry.finish, FinishReason::none);
  auto error = std::exchange(entry.error, std::nullopt);
  const std::uint32_t prompt_first = std::exchange(entry.prompt_first, 0), first_index = entry.first_index;
  for (std::size_t at = 0; at < prompt.size();) {
    wire::Tokens::Entry part = entry;
    part.prompt_first = prompt_first + static_cast<std::uint32_t>(at);
    part.prompt_tokens = take_some(prompt, at, most_bytes - kEntryBytes);
    parts.push_back(std::move(part));
  }
  for (std::size_t at = 0; at < tokens.size();) {
    wire::Tokens::Entry part = entry;
    part.first_index = first_index + static_cast<std::uint32_t>(at);
    part.tokens = take_some(tokens, at, most_bytes - kEntryBytes);
    parts.push_back(std::move(part));
  }
  if (parts.empty()) parts.push_back(entry);
  parts.back().finish = finish;
  parts.back().error = std::move(error);
  return parts;
}

}  // namespace troupe::worker
