#include "common/grammar/token_trie.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::grammar {
namespace {

/// The first `length` bytes are white space and take the blank that belongs to the word behind them.
bool splits_blanks(std::string_view text, std::size_t length) {
  constexpr std::string_view kWhite = " \t\n\r";
  return length > 1 && text.find_first_not_of(kWhite) == length && text[length - 1] == ' ';
}

}  // namespace

TokenTrie::TokenTrie(std::vector<std::string> bytes) : bytes_(std::move(bytes)) {
  std::vector<TokenId> order(bytes_.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [this](TokenId id) { return bytes_[static_cast<std::size_t>(id)].empty(); });
  std::stable_sort(order.begin(), order.end(), [this](TokenId a, TokenId b) {
    return bytes_[static_cast<std::size_t>(a)] < bytes_[static_cast<std::size_t>(b)];
  });
  std::vector<std::uint32_t> open{0};  // the path to the last node
  const auto close_to = [&](std::size_t depth) {
    while (open.size() > depth + 1) {
      end_[open.back()] = static_cast<std::uint32_t>(byte_.size());
      open.pop_back();
    }
  };
  const auto add_node = [&](std::uint8_t byte, std::size_t depth) {
    byte_.push_back(byte);
    end_.push_back(0);
    depth_.push_back(static_cast<std::uint32_t>(depth));
    token_begin_.push_back(static_cast<std::uint32_t>(tokens_.size()));
  };
  add_node(0, 0);
  std::string_view last;
  for (const TokenId id : order) {
    const std::string_view text = bytes_[static_cast<std::size_t>(id)];
    const auto [differs, same] = std::mismatch(last.begin(), last.end(), text.begin(), text.end());
    const auto shared = static_cast<std::size_t>(differs - last.begin());
    close_to(shared);
    for (std::size_t at = shared; at < text.size(); ++at) {
      open.push_back(static_cast<std::uint32_t>(byte_.size()));
      add_node(static_cast<std::uint8_t>(text[at]), at + 1);
    }
    tokens_.push_back(id);  // of the newest node: a text comes before those it begins
    last = text;
    longest_ = std::max(longest_, static_cast<std::uint32_t>(text.size()));
  }
  close_to(0);
  end_[0] = static_cast<std::uint32_t>(byte_.size());
  token_begin_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

std::vector<TokenId> TokenTrie::split(std::string_view text) const {
  std::vector<TokenId> out;
  while (!text.empty()) {
    TokenId longest = 0;
    std::size_t length = 0;
    std::uint32_t node = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      std::uint32_t child = node + 1;
      while (child < end_[node] && byte_[child] != static_cast<std::uint8_t>(text[at])) child = end_[child];
      if (child >= end_[node]) break;
      node = child;
      if (tokens(node).empty() || splits_blanks(text, at + 1)) continue;
      longest = tokens(node).front();
      length = at + 1;
    }
    if (length == 0) break;
    out.push_back(longest);
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace troupe::grammar
