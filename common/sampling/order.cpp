#include "common/sampling/order.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace troupe {
namespace {

constexpr std::size_t kSmall = 1024;  // below this std::sort is as fast
constexpr std::uint32_t kDigitBits = 11;
constexpr std::uint32_t kDigits = 1U << kDigitBits;

struct Item {
  std::uint32_t key;  ///< ascending as logits descend
  std::uint32_t id;
  std::uint32_t at;  ///< where the candidate stands in the list
};

std::uint32_t descending_key(float logit) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(logit + 0.0f);  // -0 becomes +0: they are equal logits
  return (bits & 0x80000000U) != 0 ? bits : 0x7FFFFFFFU - bits;
}

// One stable counting pass over the digit at `shift`.
template <std::uint32_t Item::*kField>
void pass(std::vector<Item>& from, std::vector<Item>& to, std::uint32_t shift) {
  std::array<std::uint32_t, kDigits> start{};
  for (const Item& item : from) ++start[(item.*kField >> shift) % kDigits];
  std::uint32_t sum = 0;
  for (std::uint32_t& count : start) {
    const std::uint32_t here = count;
    count = sum;
    sum += here;
  }
  for (const Item& item : from) to[start[(item.*kField >> shift) % kDigits]++] = item;
  from.swap(to);
}

}  // namespace

void sort_best_first(std::vector<Candidate>& list) {
  if (list.size() <= kSmall) {
    std::sort(list.begin(), list.end(), better);
    return;
  }
  thread_local std::vector<Item> items, spare;
  items.resize(list.size());
  spare.resize(list.size());
  bool ascending = true;
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(list[i].id);
    ascending = ascending && (i == 0 || id > most);
    most = std::max(most, id);
    items[i] = {descending_key(list[i].logit), id, static_cast<std::uint32_t>(i)};
  }
  for (std::uint32_t shift = 0; !ascending && shift < 32 && (most >> shift) != 0; shift += kDigitBits) {
    pass<&Item::id>(items, spare, shift);
  }
  for (std::uint32_t shift = 0; shift < 32; shift += kDigitBits) pass<&Item::key>(items, spare, shift);
  thread_local std::vector<Candidate> before;
  before.assign(list.begin(), list.end());
  for (std::size_t i = 0; i < items.size(); ++i) list[i] = before[items[i].at];
}

}  // namespace troupe
