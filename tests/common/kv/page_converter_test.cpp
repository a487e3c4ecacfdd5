// Numbers that only move keep their bits whatever the page sizes; numbers that change format are what the
// formats say.
#include "common/kv/page_converter.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "common/tensor/half.hpp"

namespace troupe {
namespace {

using Bytes = std::vector<std::byte>;

PageFormat format(std::uint32_t tokens, PageNumbers numbers, KeyOrder keys = KeyOrder::by_channel) {
  return {tokens, 3, 24, 20, numbers, keys};
}

/// One layer's pages of `tokens` tokens, filled with numbers that are finite in their format.
std::vector<Bytes> random_pages(const PageFormat& f, std::uint32_t tokens, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Bytes> pages((tokens + f.page_tokens - 1) / f.page_tokens, Bytes(f.layer_page_bytes()));
  for (Bytes& page : pages) {
    std::size_t at = 0;
    const auto put = [&](auto value) {
      std::memcpy(page.data() + at, &value, sizeof value);
      at += sizeof value;
    };
    const std::size_t numbers = std::size_t{f.page_tokens} * f.kv_heads * (f.key_dim + f.value_dim);
    for (std::size_t i = 0; i < numbers; ++i) {
      const float x = std::uniform_real_distribution<float>(-8, 8)(random);
      if (f.numbers == PageNumbers::f32) put(x);
      if (f.numbers == PageNumbers::f16) put(float_to_half(x));
      if (f.numbers == PageNumbers::int8) put(static_cast<std::int8_t>(x * 15));
    }
    while (at < page.size()) put(float_to_half(std::uniform_real_distribution<float>(0.01F, 0.1F)(random)));
  }
  return pages;
}

/// Every slot of `from`, taken in runs that end where a page of either side ends.
std::vector<Bytes> convert(PageConverter& converter, const std::vector<Bytes>& from, std::uint32_t tokens) {
  const std::uint32_t source = converter.from().page_tokens, target = converter.to().page_tokens;
  std::vector<Bytes> to((tokens + target - 1) / target, Bytes(converter.to().layer_page_bytes()));
  for (std::uint32_t at = 0; at < tokens;) {
    const std::uint32_t run = std::min({source - at % source, target - at % target, tokens - at});
    EXPECT_TRUE(
        converter.move(from[at / source], at % source, to[at / target], at % target, run).has_value());
    at += run;
  }
  return to;
}

PageConverter converter(const PageFormat& from, const PageFormat& to) {
  return std::move(*PageConverter::create(from, to));
}

/// Number `channel` of a slot's K or V as a float.
float number(const std::vector<Bytes>& pages, const PageFormat& f, std::uint32_t token, std::uint32_t head,
             bool keys, std::uint32_t channel) {
  const Bytes& page = pages[token / f.page_tokens];
  const std::size_t s = f.page_tokens, slot = token % f.page_tokens, g = f.kv_heads;
  std::size_t at = s * g * f.key_dim + (s * head + slot) * f.value_dim + channel;
  if (keys)
    at = f.keys == KeyOrder::by_channel ? (std::size_t{head} * f.key_dim + channel) * s + slot
                                        : (s * head + slot) * f.key_dim + channel;
  if (f.numbers == PageNumbers::f32) {
    float x = 0;
    std::memcpy(&x, page.data() + at * 4, 4);
    return x;
  }
  std::uint16_t half = 0;
  if (f.numbers == PageNumbers::f16) {
    std::memcpy(&half, page.data() + at * 2, 2);
    return half_to_float(half);
  }
  const std::size_t scales = s * g * (f.key_dim + f.value_dim) + ((keys ? 0 : s * g) + s * head + slot) * 2;
  std::memcpy(&half, page.data() + scales, 2);
  return static_cast<float>(static_cast<std::int8_t>(page[at])) * half_to_float(half);
}

template <class Check>
void for_each_number(const PageFormat& f, std::uint32_t tokens, const Check& check) {
  for (std::uint32_t token = 0; token < tokens; ++token)
    for (std::uint32_t head = 0; head < f.kv_heads; ++head)
      for (const bool keys : {true, false})
        for (std::uint32_t c = 0; c < (keys ? f.key_dim : f.value_dim); ++c) check(token, head, keys, c);
}

TEST(PageConverter, RegroupingKeepsEveryBitThereAndBack) {
  constexpr std::uint32_t kTokens = 768;  // whole pages of every size below
  for (const PageNumbers numbers : {PageNumbers::f16, PageNumbers::f32, PageNumbers::int8}) {
    for (const auto& [small, large] :
         {std::pair{16u, 64u}, {64u, 256u}, {48u, 64u}, {64u, 64u}, {32u, 48u}}) {
      for (const KeyOrder order : {KeyOrder::by_channel, KeyOrder::by_token}) {
        const PageFormat one = format(small, numbers), two = format(large, numbers, order);
        PageConverter there = converter(one, two), back = converter(two, one);
        EXPECT_EQ(there.fidelity(), Fidelity::same_bits);
        const auto pages = random_pages(one, kTokens, small + large);
        const auto regrouped = convert(there, pages, kTokens);
        EXPECT_EQ(convert(back, regrouped, kTokens), pages) << to_string(one) << " and " << to_string(two);
        for_each_number(one, kTokens, [&](auto token, auto head, auto keys, auto c) {
          ASSERT_EQ(number(regrouped, two, token, head, keys, c), number(pages, one, token, head, keys, c));
        });
      }
    }
  }
}

TEST(PageConverter, AWiderFormatHoldsEveryValueAndGivesItBack) {
  constexpr std::uint32_t kTokens = 192;
  const PageFormat wide = format(96, PageNumbers::f32, KeyOrder::by_token);
  for (const PageNumbers numbers : {PageNumbers::f16, PageNumbers::int8}) {
    const PageFormat narrow = format(64, numbers);
    PageConverter there = converter(narrow, wide);
    EXPECT_EQ(there.fidelity(), Fidelity::same_values);
    const auto pages = random_pages(narrow, kTokens, 5);
    const auto widened = convert(there, pages, kTokens);
    for_each_number(wide, kTokens, [&](auto token, auto head, auto keys, auto c) {
      ASSERT_EQ(number(widened, wide, token, head, keys, c), number(pages, narrow, token, head, keys, c));
    });
    if (numbers == PageNumbers::int8) continue;
    PageConverter back = converter(wide, narrow);
    EXPECT_EQ(convert(back, widened, kTokens), pages);
  }
}

TEST(PageConverter, RoundingStaysWithinTheFormat) {
  constexpr std::uint32_t kTokens = 128;
  const PageFormat half = format(64, PageNumbers::f16), codes = format(32, PageNumbers::int8);
  PageConverter there = converter(half, codes);
  EXPECT_EQ(there.fidelity(), Fidelity::rounded);
  EXPECT_EQ(converter(codes, half).fidelity(), Fidelity::rounded);
  const auto pages = random_pages(half, kTokens, 7);
  const auto rounded = convert(there, pages, kTokens);
  double sum = 0;
  for_each_number(half, kTokens, [&](auto token, auto head, auto keys, auto c) {
    const float error =
        std::abs(number(rounded, codes, token, head, keys, c) - number(pages, half, token, head, keys, c));
    ASSERT_LE(error, 8.0F / 127 * 0.51F);  // half a code of the largest scale
    sum += error;
  });
  EXPECT_GT(sum, 0) << "it must say that it rounds: it does";
}

TEST(PageConverter, ASlotOfZerosAndOneOfHugeNumbersBecomeCodes) {
  const PageFormat wide = format(16, PageNumbers::f32), codes = format(16, PageNumbers::int8);
  PageConverter there = converter(wide, codes);
  std::vector<Bytes> pages = {Bytes(wide.layer_page_bytes())};
  const float huge = 65504.0F * 127;  // the largest scale there is
  std::memcpy(pages[0].data(), &huge, sizeof huge);
  const auto rounded = convert(there, pages, 16);
  EXPECT_EQ(number(rounded, codes, 0, 0, true, 0), huge);
  EXPECT_EQ(number(rounded, codes, 0, 0, true, 1), 0.0F);
  EXPECT_EQ(number(rounded, codes, 5, 1, false, 3), 0.0F);
}

TEST(PageConverter, OnlyTheAskedSlotsChange) {
  const PageFormat from = format(64, PageNumbers::f16), to = format(128, PageNumbers::f16);
  PageConverter there = converter(from, to);
  const auto pages = random_pages(from, 64, 1);
  Bytes target(to.layer_page_bytes(), std::byte{0x5A});
  ASSERT_TRUE(there.move(pages[0], 16, target, 80, 32).has_value());
  const float untouched = half_to_float(0x5A5A);
  for_each_number(to, 128, [&](auto token, auto head, auto keys, auto c) {
    const bool asked = token >= 80 && token < 112;
    ASSERT_EQ(number({target}, to, token, head, keys, c),
              asked ? number(pages, from, token - 64, head, keys, c) : untouched);
  });
}

TEST(PageConverter, OtherHeadsWidthsAndFormatsThatAreNoneAreRefused) {
  const PageFormat good = format(64, PageNumbers::f16);
  std::vector<PageFormat> others(9, good);
  others[0].kv_heads = 4;
  others[1].key_dim = 32;
  others[2].value_dim = 24;
  others[3].page_tokens = 0;
  others[4].page_tokens = 40;  // no whole blocks
  others[5].page_tokens = 1u << 20;
  others[6].numbers = static_cast<PageNumbers>(9);
  others[7].keys = static_cast<KeyOrder>(2);
  others[8].key_dim = UINT32_MAX;
  for (const PageFormat& other : others) {
    for (const auto& [from, to] : {std::pair{good, other}, {other, good}}) {
      const auto made = PageConverter::create(from, to);
      ASSERT_FALSE(made.has_value()) << to_string(from) << " to " << to_string(to);
      EXPECT_EQ(made.error().code, Errc::numerics_mismatch);
    }
  }
}

TEST(PageConverter, ShortPagesAndSlotsOutsideAreAnErrorAndTouchNothing) {
  const PageFormat from = format(64, PageNumbers::int8), to = format(32, PageNumbers::f16);
  PageConverter there = converter(from, to);
  const Bytes page(from.layer_page_bytes(), std::byte{1});
  Bytes target(to.layer_page_bytes());
  const Bytes before = target;
  const auto refused = [&](std::span<const std::byte> source, std::uint32_t from_slot,
                           std::span<std::byte> into, std::uint32_t to_slot, std::uint32_t slots) {
    const auto moved = there.move(source, from_slot, into, to_slot, slots);
    return !moved && moved.error().code == Errc::transfer_failed;
  };
  const std::span<const std::byte> whole(page);
  EXPECT_TRUE(refused(whole.first(page.size() - 1), 0, target, 0, 16));
  EXPECT_TRUE(refused({}, 0, target, 0, 16));
  EXPECT_TRUE(refused(whole, 0, std::span(target).first(target.size() - 2), 0, 16));
  EXPECT_TRUE(refused(whole, 0, target, 0, 33));
  EXPECT_TRUE(refused(whole, 0, target, 17, 16));
  EXPECT_TRUE(refused(whole, 49, target, 0, 16));
  EXPECT_TRUE(refused(whole, UINT32_MAX, target, 0, 16));
  EXPECT_EQ(target, before);
}

}  // namespace
}  // namespace troupe
