// Pages of real engines through the converter: regrouped ones continue bit for bit, converted ones are what
// the backend would have made of the same numbers, and are never found where exact ones are looked for.
#include "common/kv/page_converter.hpp"

#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

using Page = std::vector<std::byte>;
using Pages = std::map<std::pair<std::uint32_t, std::uint32_t>, Page>;  // layer, page index

Request prompt_of(std::uint32_t tokens, std::uint64_t id = 5) {
  Request request;
  request.id = {id, id};
  for (std::uint32_t i = 0; i < tokens; ++i) request.prompt.push_back(static_cast<TokenId>(i * 7 % 200));
  request.max_tokens = 6;
  return request;
}

Pages prefill(Engine& from, const Request& request, std::uint32_t tokens) {
  Pages pages;
  const auto take = [&](const PrefillProgress& progress) {
    for (std::size_t i = 0; i < progress.pages.size(); ++i) {
      Page& page = pages[{progress.layer, progress.first_page + static_cast<std::uint32_t>(i)}];
      page.resize(from.layer_page_bytes());
      from.export_page(progress.layer, progress.pages[i], page);
    }
    return true;
  };
  EXPECT_TRUE(from.submit_prefill(request, tokens, take).has_value());
  for (int steps = 0; steps < 1000; ++steps)
    if (!from.step().prefilled.empty()) break;
  from.release_prefill(request.id);
  return pages;
}

/// Every page's every slot in a format of other page sizes (whole pages come out).
Pages converted(const Pages& pages, const PageFormat& from, const PageFormat& to) {
  auto converter = PageConverter::create(from, to);
  EXPECT_TRUE(converter.has_value());
  Pages out;
  for (const auto& [place, page] : pages) {
    for (std::uint32_t slot = 0; slot < from.page_tokens; slot += kBlockTokens) {
      const std::uint32_t token = place.second * from.page_tokens + slot;
      Page& target = out[{place.first, token / to.page_tokens}];
      target.resize(to.layer_page_bytes());
      EXPECT_TRUE(converter->move(page, slot, target, token % to.page_tokens, kBlockTokens).has_value());
    }
  }
  return out;
}

Answers import(Engine& to, Request request, std::uint32_t tokens, const Pages& pages) {
  EXPECT_EQ(to.reserve_import(request, tokens).value_or(UINT32_MAX), 0u);
  for (const auto& [place, page] : pages)
    EXPECT_TRUE(to.import_page(request.id, place.first, place.second, page).has_value());
  Page back(to.layer_page_bytes());
  EXPECT_TRUE(to.imported_page(request.id, 0, 0, back).has_value());
  EXPECT_EQ(back, pages.begin()->second);
  EXPECT_FALSE(to.imported_page({1, 1}, 0, 0, back).has_value());
  EXPECT_TRUE(to.commit_import(request.id, tokens).has_value());
  Answers answers;
  run(to, answers);
  return answers;
}

Answers computed(Engine& engine, const Request& request) {
  Answers answers;
  EXPECT_TRUE(engine.submit(request).has_value());
  run(engine, answers);
  return answers;
}

TEST(EngineConvert, RegroupedPagesContinueBitForBit) {
  for (const auto& [shape, codec] :
       {std::pair{"tiny-llama", backend::KvCodec::f16}, {"tiny-gemma3", backend::KvCodec::int8}}) {
    EngineSetup setup;
    setup.shape = shape;
    setup.cpu.kv_codec = codec;
    auto local = make_engine(setup), from = make_engine(setup), to = make_engine(setup);
    const Request request = prompt_of(200);
    const PageFormat own = to->page_format();
    EXPECT_EQ(own.layer_page_bytes(), to->layer_page_bytes());
    const Pages pages = prefill(*from, request, 192);
    for (const PageFormat& between :
         {PageFormat{16, own.kv_heads, own.key_dim, own.value_dim, own.numbers, KeyOrder::by_token},
          PageFormat{96, own.kv_heads, own.key_dim, own.value_dim, own.numbers, own.keys}})
      EXPECT_EQ(converted(converted(pages, own, between), between, own), pages);
    EXPECT_EQ(import(*to, request, 192, pages), computed(*local, request)) << shape;
    EXPECT_EQ(to->cached_tokens_for(request.tenant, request.prompt), 192u);
  }
}

TEST(EngineConvert, LossyPagesHaveKeysOfTheirOwnAndExactOnesAreComputed) {
  EngineSetup codes;
  codes.cpu.kv_codec = backend::KvCodec::int8;
  auto from = make_engine(codes), to = make_engine({}), fresh = make_engine({});
  Request request = prompt_of(200);
  const Pages pages = converted(prefill(*from, request, 192), from->page_format(), to->page_format());
  request.pages_of = from->model_id();
  const Answers lossy = import(*to, request, 192, pages);
  EXPECT_EQ(lossy.begin()->second.tokens.size(), 6u);
  EXPECT_EQ(lossy.begin()->second.cached_tokens, 192u);
  EXPECT_EQ(to->stats().pages_free + to->stats().pages_cached, to->stats().pages_total);

  request.pages_of = {};
  request.id = {6, 6};
  EXPECT_EQ(to->cached_tokens_for(request.tenant, request.prompt), 0u) << "nobody finds what was converted";
  const auto held = to->cached_blocks();
  for (const BlockKey& key : block_keys(to->model_id(), request.tenant, request.prompt))
    EXPECT_EQ(std::count(held.begin(), held.end(), key), 0);
  const auto engine_held =
      to->hold_blocks({7, 7}, block_keys(to->model_id(), request.tenant, request.prompt));
  EXPECT_EQ(engine_held.tokens, 0u) << "and no peer fetches it";
  const Answers exact = computed(*to, request), expected = computed(*fresh, request);
  EXPECT_EQ(exact.begin()->second, expected.begin()->second);
  EXPECT_EQ(exact.begin()->second.cached_tokens, 0u);
}

/// What a backend leaves in one page when it writes 64 rows.
Page written(const backend::CpuOptions& cpu, const backend::KvLayout& layout, const std::vector<float>& k,
             const std::vector<float>& v) {
  auto backend = std::move(*backend::make_cpu_backend(cpu));
  auto stream = backend->make_stream();
  const auto fill = [&](const auto& values) {
    auto buffer = std::move(*backend->allocate(values.size() * sizeof values[0]));
    backend->upload(*stream, *buffer, 0, std::as_bytes(std::span(values)));
    return buffer;
  };
  std::vector<std::int32_t> at(backend::kPageSlots);
  for (std::size_t i = 0; i < at.size(); ++i) at[i] = static_cast<std::int32_t>(i);
  const auto keys = fill(k), values = fill(v), slots = fill(at);
  auto kv = std::move(*backend->allocate(layout.layer_page_bytes()));
  const auto rows = backend::kPageSlots;
  const backend::TensorRef key_rows{
      keys.get(), 0, backend::DType::f32, rows, layout.kv_heads * layout.key_dim, 0};
  const backend::TensorRef value_rows{
      values.get(), 0, backend::DType::f32, rows, layout.kv_heads * layout.value_dim, 0};
  const backend::TensorRef slot_row{slots.get(), 0, backend::DType::i32, 1, rows, 0};
  backend->kv_write(*stream, layout, *kv, 0, key_rows, value_rows, slot_row);
  Page page(layout.layer_page_bytes());
  backend->download(*stream, page, *kv, 0);
  backend->synchronize(*stream);
  return page;
}

TEST(EngineConvert, NumbersBecomeWhatTheBackendMakesOfThem) {
  backend::KvLayout layout{1, 3, 32, 32, backend::DType::f32, 1};
  std::mt19937 random(3);
  std::vector<float> k(64 * 96), v(64 * 96);
  for (auto* list : {&k, &v})
    for (float& x : *list)
      x = std::uniform_real_distribution<float>(-9, 9)(random) * (random() % 5 == 0 ? 1e-3F : 1.0F);
  const PageFormat wide{64, 3, 32, 32, PageNumbers::f32, KeyOrder::by_channel};
  const Page floats = written({.threads = 1, .numerics = backend::Numerics::reference}, layout, k, v);
  for (const auto& [codec, dtype, numbers] :
       {std::tuple{backend::KvCodec::f16, backend::DType::f16, PageNumbers::f16},
        {backend::KvCodec::int8, backend::DType::i8, PageNumbers::int8}}) {
    layout.dtype = dtype;
    PageFormat narrow = wide;
    narrow.numbers = numbers;
    Page page(narrow.layer_page_bytes());
    ASSERT_TRUE(PageConverter::create(wide, narrow)->move(floats, 0, page, 0, 64).has_value());
    EXPECT_EQ(page, written({.threads = 1, .kv_codec = codec}, layout, k, v)) << to_string(narrow);
  }
}

}  // namespace
}  // namespace troupe::engine
