// Pages of another format become this engine's, whatever order, size and damage frames come with.
#include "common/worker/page_import.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/fake_engine.hpp"

namespace troupe::worker {
namespace {

using test::FakeEngine;
using test::FakeEngineOptions;

constexpr std::uint32_t kTokens = 416;  // ends inside a page of 64 and of 256

FakeEngineOptions with_pages(std::uint32_t tokens, PageNumbers numbers = PageNumbers::f16,
                             KeyOrder keys = KeyOrder::by_channel) {
  FakeEngineOptions options;
  options.page_tokens = tokens;
  options.numbers = numbers;
  options.keys = keys;
  return options;
}

struct Frame {
  wire::KvFrame header;
  std::vector<std::byte> payload;
};

/// A prompt that `from` has and `to` imports.
struct Pair {
  explicit Pair(const FakeEngineOptions& source, const FakeEngineOptions& target = with_pages(64),
                Conversion allowed = Conversion::exact, bool foreign = false)
      : from(source), to(target) {
    request.id = {1, 1};
    request.max_tokens = 1;
    for (std::uint32_t i = 0; i < kTokens + 1; ++i)
      request.prompt.push_back(static_cast<TokenId>(i * 31 % 4000));
    engine::Request warm = request;
    EXPECT_TRUE(from.submit(warm).has_value());
    while (from.has_work()) (void)from.step();
    if (foreign) request.pages_of = from.model_id();
    EXPECT_TRUE(to.reserve_import(request, kTokens).has_value());
    import.emplace(to, request.id, 0, kTokens, allowed, foreign);
  }
  /// `pages` of every layer in one frame.
  Frame frame(std::vector<std::uint32_t> pages, std::uint32_t first_layer = 0, std::uint32_t layers = 3) {
    const auto keys = block_keys(from.model_id(), request.tenant, std::span(request.prompt).first(kTokens));
    const auto held = from.hold_blocks({2, 2}, keys);
    EXPECT_EQ(held.tokens, kTokens);
    Frame frame;
    const std::size_t size = from.layer_page_bytes();
    frame.header.first_layer = first_layer;
    frame.header.layers = layers;
    frame.header.layer_page_bytes = static_cast<std::uint32_t>(size);
    frame.header.shape = to_wire(from.page_format());
    frame.payload.resize(size * layers * pages.size());
    auto to_bytes = std::span(frame.payload);
    for (std::uint32_t layer = first_layer; layer < first_layer + layers; ++layer)
      for (const std::uint32_t page : pages) {
        from.export_page(layer, held.pages.at(page), to_bytes.first(size));
        to_bytes = to_bytes.subspan(size);
      }
    frame.header.pages = std::move(pages);
    from.release_blocks({2, 2});
    return frame;
  }
  Expected<void> take(const Frame& frame) { return import->take(frame.header, frame.payload); }
  [[nodiscard]] std::uint32_t pages() const {
    const std::uint32_t size = from.page_format().page_tokens;
    return (kTokens + size - 1) / size;
  }
  FakeEngine from, to;
  engine::Request request;
  std::optional<PageImport> import;
};

TEST(PageImport, PagesOfAnySizeAndOrderComeWhole) {
  const FakeEngineOptions sources[] = {with_pages(16),  with_pages(32),
                                       with_pages(48),  with_pages(64),
                                       with_pages(256), with_pages(64, PageNumbers::f16, KeyOrder::by_token)};
  for (const FakeEngineOptions& source : sources) {
    for (const FakeEngineOptions& target : {with_pages(64), with_pages(128), with_pages(16)}) {
      Pair p(source, target);
      std::vector<Frame> frames;
      for (std::uint32_t page = 0; page < p.pages(); ++page)
        for (std::uint32_t layer = 0; layer < 3; ++layer) frames.push_back(p.frame({page}, layer, 1));
      std::mt19937 random(source.page_tokens);
      std::ranges::shuffle(frames, random);
      for (std::size_t i = 0; i < frames.size(); ++i) {
        ASSERT_TRUE(p.take(frames[i]).has_value());
        if (i % 3 == 0) {
          ASSERT_TRUE(p.take(frames[i]).has_value()) << "once more";
        }
      }
      EXPECT_EQ(p.import->leading_tokens(), kTokens);
      const bool alike = p.from.page_format() == p.to.page_format();
      EXPECT_EQ(p.import->converted(), alike ? std::nullopt : std::optional(Fidelity::same_bits));
      // The fake engine compares every slot with what it would have computed.
      const auto committed = p.to.commit_import(p.request.id, kTokens);
      EXPECT_TRUE(committed.has_value()) << source.page_tokens << " to " << target.page_tokens;
      EXPECT_EQ(p.to.cached_tokens_for(p.request.tenant, p.request.prompt), kTokens);
    }
  }
}

TEST(PageImport, CountsWhatIsThereByBlocks) {
  Pair p(with_pages(32), with_pages(128));
  ASSERT_TRUE(p.take(p.frame({0, 1})).has_value());
  EXPECT_EQ(p.import->leading_tokens(), 64u);
  ASSERT_TRUE(p.take(p.frame({3, 4})).has_value());
  EXPECT_EQ(p.import->leading_tokens(), 64u) << "page 2 is missing";
  ASSERT_TRUE(p.take(p.frame({2}, 0, 2)).has_value());
  EXPECT_EQ(p.import->leading_tokens(), 64u) << "in its last layer";
  ASSERT_TRUE(p.take(p.frame({2}, 2, 1)).has_value());
  EXPECT_EQ(p.import->leading_tokens(), 160u);
}

TEST(PageImport, ALargerPageMayBeginBeforeWhatIsMissing) {
  Pair p(with_pages(256), with_pages(64));
  p.import.emplace(p.to, p.request.id, 64, kTokens, Conversion::exact, false);
  ASSERT_TRUE(p.take(p.frame({0, 1})).has_value());
  EXPECT_EQ(p.import->leading_tokens(), kTokens);
  std::vector<std::byte> page(p.to.layer_page_bytes());
  EXPECT_FALSE(p.to.imported_page(p.request.id, 0, 0, page).has_value())
      << "the page that was here is not written";
  EXPECT_TRUE(p.to.imported_page(p.request.id, 0, 1, page).has_value());
}

TEST(PageImport, TornShortAndForeignFramesAreRefusedAndWhatCameStays) {
  Pair p(with_pages(32));
  ASSERT_TRUE(p.take(p.frame({0, 1})).has_value());
  const auto refused = [&](const auto& damage) {
    Frame frame = p.frame({2, 3});
    damage(frame);
    const auto taken = p.take(frame);
    return taken ? Errc::internal : taken.error().code;
  };
  EXPECT_EQ(refused([](Frame& f) { f.payload.pop_back(); }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.payload.clear(); }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.header.layers = 4; }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.header.first_layer = UINT32_MAX; }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.header.layer_page_bytes *= 2; }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.header.pages[1] = 14; }), Errc::transfer_failed) << "behind the prompt";
  EXPECT_EQ(refused([](Frame& f) { f.header.pages[1] = UINT32_MAX; }), Errc::transfer_failed);
  EXPECT_EQ(refused([](Frame& f) { f.header.shape = {}; }), Errc::transfer_failed)
      << "so its pages would be this engine's";
  EXPECT_EQ(refused([](Frame& f) { f.header.shape.kv_heads = 2; }), Errc::numerics_mismatch);
  EXPECT_EQ(refused([](Frame& f) { f.header.shape.page_tokens = 40; }), Errc::numerics_mismatch);
  EXPECT_EQ(refused([](Frame& f) { f.header.shape.numbers = 77; }), Errc::numerics_mismatch);
  EXPECT_EQ(p.import->leading_tokens(), 64u);
}

TEST(PageImport, OtherNumbersNeedTheWordLossyAndAForeignSource) {
  const auto wide = with_pages(64, PageNumbers::f32), codes = with_pages(64, PageNumbers::int8),
             own = with_pages(64);
  const struct {
    FakeEngineOptions from;
    Conversion allowed;
    bool foreign, taken;
  } cases[] = {
      {codes, Conversion::exact, true, false},         {codes, Conversion::lossy, false, false},
      {codes, Conversion::lossy, true, true},          {wide, Conversion::lossy, true, true},
      {wide, Conversion::exact, true, false},          {wide, Conversion::off, true, false},
      {with_pages(32), Conversion::off, false, false},
  };
  for (const auto& c : cases) {
    Pair p(c.from, own, c.allowed, c.foreign);
    const auto taken = p.take(p.frame({0}));
    EXPECT_EQ(taken.has_value(), c.taken);
    if (!taken) {
      EXPECT_EQ(taken.error().code, Errc::numerics_mismatch);
    } else {
      EXPECT_EQ(p.import->converted(), Fidelity::rounded);
    }
  }
}

}  // namespace
}  // namespace troupe::worker
