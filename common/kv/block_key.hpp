#pragma once
// The chained key of 16 tokens: what the prefix cache, the router's index and page transfer agree on (design, section 5).
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/hash.hpp"

namespace troupe {

inline constexpr std::uint32_t kBlockTokens = 16;
inline constexpr std::uint32_t kBlocksPerPage = 4;

/// Attention policy and codec of plain attention over uncompressed pages; their number format is in the model id.
inline constexpr std::string_view kDensePolicy = "dense";

/// The same over pages that were converted from another model id's numbers: nobody else finds those.
[[nodiscard]] inline std::string converted_policy(const ModelId& from) { return "converted-" + to_hex(from); }

/// Parent of a sequence's first block. `model` already holds the numerics id; `tenant` separates caches.
[[nodiscard]] inline BlockKey root_key(const ModelId& model, std::string_view tenant) {
  return Hasher().text("troupe-root-1").id(model).text(tenant).finish<BlockKey>();
}

/// Key of one full block of 16 ids after `parent`. `policy` names the attention policy and codec (kDensePolicy).
[[nodiscard]] inline BlockKey block_key(const BlockKey& parent, std::span<const TokenId> tokens, std::string_view policy) {
  return Hasher().id(parent).bytes(std::as_bytes(tokens)).text(policy).finish<BlockKey>();
}

/// What a block's key was made of, for those who follow caches by tokens.
struct BlockOrigin {
  std::optional<BlockKey> parent;  ///< none: its sequence's first block
  std::array<TokenId, kBlockTokens> tokens;
  bool operator==(const BlockOrigin&) const = default;
};

/// What a full page is: its blocks' keys and what they were made of.
struct PageIdentity {
  std::array<BlockKey, kBlocksPerPage> keys{};
  std::optional<BlockKey> parent;  ///< of the first block; none: its sequence begins here
  std::array<TokenId, std::size_t{kBlockTokens} * kBlocksPerPage> tokens{};
  /// The last block's key chains over all tokens before it and in it, so it names the page.
  [[nodiscard]] const BlockKey& key() const { return keys.back(); }
  bool operator==(const PageIdentity&) const = default;
};

/// Keys of all full blocks of `tokens`, in order.
[[nodiscard]] inline std::vector<BlockKey> block_keys(const ModelId& model, std::string_view tenant,
                                                      std::span<const TokenId> tokens, std::string_view policy = kDensePolicy) {
  std::vector<BlockKey> keys;
  BlockKey parent = root_key(model, tenant);
  for (std::size_t at = 0; at + kBlockTokens <= tokens.size(); at += kBlockTokens) {
    parent = block_key(parent, tokens.subspan(at, kBlockTokens), policy);
    keys.push_back(parent);
  }
  return keys;
}

}  // namespace troupe
