// A prompt computed on one engine and continued on another says what one engine would have said.
#include "tests/common/engine/rig.hpp"

namespace troupe::engine {
namespace {

struct Transfer {
  std::vector<std::vector<std::byte>> bytes;  ///< in the order offered
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places;  ///< layer, page index
};

/// Prefills `tokens` of the request on `from`, refusing every third offer once.
Transfer prefill(Engine& from, const Request& request, std::uint32_t tokens) {
  Transfer transfer;
  int offers = 0;
  bool refused = false;
  const auto take = [&](const PrefillProgress& progress) {
    if (++offers % 3 == 0 && !refused) {
      refused = true;
      return false;
    }
    refused = false;
    for (std::size_t i = 0; i < progress.pages.size(); ++i) {
      std::vector<std::byte> page(from.layer_page_bytes());
      from.export_page(progress.layer, progress.pages[i], page);
      transfer.bytes.push_back(std::move(page));
      transfer.places.emplace_back(progress.layer, progress.first_page + static_cast<std::uint32_t>(i));
    }
    return true;
  };
  EXPECT_TRUE(from.submit_prefill(request, tokens, take).has_value());
  bool done = false;
  for (int steps = 0; !done && steps < 10000; ++steps) done = !from.step().prefilled.empty();
  EXPECT_TRUE(done);
  EXPECT_GT(from.stats().pages_total, from.stats().pages_free + from.stats().pages_cached) << "pages stay pinned";
  from.release_prefill(request.id);
  EXPECT_EQ(from.stats().pages_total, from.stats().pages_free + from.stats().pages_cached);
  return transfer;
}

TEST(EngineTransfer, ImportedPromptsContinueBitForBit) {
  const std::pair<const char*, backend::KvCodec> cases[] = {{"tiny-llama", backend::KvCodec::f16},
                                                            {"tiny-gemma3", backend::KvCodec::f16},
                                                            {"tiny-llama", backend::KvCodec::int8}};
  for (const auto& [shape, codec] : cases) {
    EngineSetup setup;
    setup.shape = shape;
    setup.cpu.kv_codec = codec;
    setup.options.chunk = 48;  // chunks end inside pages
    auto local = make_engine(setup), from = make_engine(setup), to = make_engine(setup);
    for (const Request& request : mixed_requests(60, local->model().config().vocab)) {
      if (request.prompt.size() < 2) continue;
      Answers expected, answers;
      ASSERT_TRUE(local->submit(request).has_value());
      run(*local, expected);
      const auto tokens = static_cast<std::uint32_t>(request.prompt.size() - 1);
      const std::uint32_t held = std::min(to->cached_tokens_for(request.tenant, request.prompt), tokens) / 64 * 64;
      if (held == tokens) continue;
      ASSERT_TRUE(to->reserve_import(request, tokens).has_value());
      const Transfer transfer = prefill(*from, request, tokens);
      for (std::size_t i = 0; i < transfer.bytes.size(); ++i) {
        if (transfer.places[i].second < held / 64) continue;  // already there
        ASSERT_TRUE(to->import_page(request.id, transfer.places[i].first, transfer.places[i].second, transfer.bytes[i]).has_value());
      }
      ASSERT_TRUE(to->commit_import(request.id, UINT32_MAX).has_value());
      run(*to, answers);
      EXPECT_EQ(answers, expected) << shape << ", prompt of " << request.prompt.size();
      EXPECT_EQ(answers.begin()->second.cached_tokens, tokens);
    }
    EXPECT_EQ(to->stats().pages_free + to->stats().pages_cached, to->stats().pages_total);
  }
}

/// As prefill(), with the first token; every prompt token is computed.
Transfer prefill_and_draw(Engine& from, Request request, std::optional<GeneratedToken>& drawn) {
  request.draw_first = true;
  Transfer transfer;
  const auto take = [&](const PrefillProgress& progress) {
    for (std::size_t i = 0; i < progress.pages.size(); ++i) {
      std::vector<std::byte> page(from.layer_page_bytes());
      from.export_page(progress.layer, progress.pages[i], page);
      transfer.bytes.push_back(std::move(page));
      transfer.places.emplace_back(progress.layer, progress.first_page + static_cast<std::uint32_t>(i));
    }
    return true;
  };
  EXPECT_TRUE(from.submit_prefill(request, static_cast<std::uint32_t>(request.prompt.size()), take).has_value());
  bool done = false;
  for (int steps = 0; !done && steps < 10000; ++steps) {
    StepOutput out = from.step();
    for (TokenEvent& event : out.tokens) {
      EXPECT_EQ(event.first_index, request.resumed_tokens);
      EXPECT_EQ(event.tokens.size(), 1u);
      EXPECT_FALSE(drawn.has_value()) << "one token, once";
      if (!event.tokens.empty()) drawn = std::move(event.tokens[0]);
    }
    done = !out.prefilled.empty();
  }
  EXPECT_TRUE(done);
  from.release_prefill(request.id);
  EXPECT_EQ(from.stats().pages_total, from.stats().pages_free + from.stats().pages_cached);
  return transfer;
}

TEST(EngineTransfer, TheFirstTokenIsTheSameWhoeverDrawsItAndSoIsTheRest) {
  for (const char* shape : {"tiny-llama", "tiny-gemma3"}) {
    EngineSetup setup;
    setup.shape = shape;
    setup.options.chunk = 48;
    auto local = make_engine(setup), from = make_engine(setup), to = make_engine(setup);
    int continued = 0;
    for (Request& request : mixed_requests(60, local->model().config().vocab)) {
      if (request.prompt.size() < 2 * kBlockTokens) continue;
      request.choices = 1;
      if (request.id.low % 7 == 0) request.rules.min_tokens = 5;
      if (request.id.low % 6 == 0) request.resumed_tokens = 3, request.max_tokens += 3;
      Answer expected, answer;
      ASSERT_TRUE(local->submit(request).has_value());
      for (int steps = 0; local->has_work() && steps < 1000; ++steps)
        for (const TokenEvent& event : local->step().tokens) {
          expected.tokens.insert(expected.tokens.end(), event.tokens.begin(), event.tokens.end());
          expected.finish = event.finish;
        }
      std::optional<GeneratedToken> drawn;
      const Transfer transfer = prefill_and_draw(*from, request, drawn);
      ASSERT_TRUE(drawn.has_value());
      EXPECT_TRUE(*drawn == expected.tokens.at(0)) << "token, log-probability and the best beside it";
      answer.tokens.push_back(*drawn);
      const auto tokens = static_cast<std::uint32_t>(request.prompt.size() - 1) / kBlockTokens * kBlockTokens;
      const std::uint32_t held = std::min(to->cached_tokens_for(request.tenant, request.prompt), tokens) / 64 * 64;
      if (held == tokens) continue;
      ASSERT_TRUE(to->reserve_import(request, tokens).has_value());
      for (std::size_t i = 0; i < transfer.bytes.size(); ++i) {
        const auto [layer, page] = transfer.places[i];
        if (page < held / 64 || page * 64 >= tokens) continue;
        ASSERT_TRUE(to->import_page(request.id, layer, page, transfer.bytes[i]).has_value());
      }
      const bool more = expected.tokens.size() > 1;
      if (!more) {
        EXPECT_FALSE(to->import_answer(request.id, drawn->token).has_value()) << "the answer is over";
        to->cancel(request.id);
        continue;
      }
      ASSERT_TRUE(to->import_answer(request.id, drawn->token).has_value());
      ASSERT_TRUE(to->commit_import(request.id, UINT32_MAX).has_value());
      for (int steps = 0; to->has_work() && steps < 1000; ++steps)
        for (const TokenEvent& event : to->step().tokens) {
          EXPECT_EQ(event.first_index, request.resumed_tokens + answer.tokens.size());
          EXPECT_EQ(event.cached_tokens, tokens);
          answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
          answer.finish = event.finish;
        }
      EXPECT_EQ(answer, expected) << shape << ", prompt of " << request.prompt.size();
      ++continued;
    }
    EXPECT_GT(continued, 10);
    EXPECT_EQ(to->stats().pages_free + to->stats().pages_cached, to->stats().pages_total);
  }
}

TEST(EngineTransfer, APromptInTheCacheStillGivesItsFirstToken) {
  auto engine = make_engine({});
  Request request;
  request.id = {5, 5};
  for (TokenId i = 0; i < 128; ++i) request.prompt.push_back(i % 90);
  request.max_tokens = 1;
  Answers answers;
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, answers);
  std::optional<GeneratedToken> drawn;
  request.id = {6, 6};
  (void)prefill_and_draw(*engine, request, drawn);
  ASSERT_TRUE(drawn.has_value());
  EXPECT_TRUE(*drawn == answers.begin()->second.tokens.at(0));
  request.draw_first = true;
  const auto part = engine->submit_prefill(request, 64, [](const PrefillProgress&) { return true; });
  EXPECT_EQ(part.error().code, Errc::invalid_argument) << "nothing follows from a part of a prompt";
}

TEST(EngineTransfer, ATokenOfAnotherWorkerGoesBeforeAPlainAnswerOnly) {
  auto engine = make_engine({});
  Request request;
  request.id = {5, 5};
  request.prompt.assign(130, 7);
  request.max_tokens = 4;
  EXPECT_EQ(engine->import_answer(request.id, 1).error().code, Errc::transfer_failed);
  request.choices = 2;
  ASSERT_TRUE(engine->reserve_import(request, 128).has_value());
  EXPECT_EQ(engine->import_answer(request.id, 1).error().code, Errc::invalid_argument);
  engine->cancel(request.id);
  request.choices = 1;
  ASSERT_TRUE(engine->reserve_import(request, 128).has_value());
  EXPECT_EQ(engine->import_answer(request.id, -1).error().code, Errc::invalid_argument);
  EXPECT_TRUE(engine->import_answer(request.id, 1).has_value());
  engine->cancel(request.id);
  EXPECT_EQ(engine->stats().pages_free, engine->stats().pages_total);
}

TEST(EngineTransfer, APageOfOneCodecIsNeverTakenForOneOfTheOther) {
  EngineSetup setup;
  setup.cpu.kv_codec = backend::KvCodec::int8;
  auto exact = make_engine({}), lossy = make_engine(setup);
  Request request;
  request.id = {5, 5};
  request.prompt.assign(130, 7);
  request.max_tokens = 4;
  const Transfer transfer = prefill(*lossy, request, 129);
  ASSERT_TRUE(exact->reserve_import(request, 129).has_value());
  const auto refused = exact->import_page(request.id, 0, 0, transfer.bytes[0]);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::transfer_failed);
  exact->cancel(request.id);
  // No block that one holds is a block that the other would look for.
  Answers answers;
  for (Engine* engine : {exact.get(), lossy.get()}) {
    request.id.low += 1;
    ASSERT_TRUE(engine->submit(request).has_value());
    run(*engine, answers);
  }
  const auto held = lossy->cached_blocks();
  ASSERT_FALSE(held.empty());
  for (const BlockKey& key : exact->cached_blocks()) EXPECT_EQ(std::count(held.begin(), held.end(), key), 0);
}

TEST(EngineTransfer, AnIncompleteImportIsRefusedAndFreesItsPages) {
  auto engine = make_engine({});
  Request request;
  request.id = {5, 5};
  request.prompt.assign(130, 7);
  request.max_tokens = 4;
  ASSERT_TRUE(engine->reserve_import(request, 129).has_value());
  EXPECT_EQ(engine->stats().pages_reserved, 3u);
  EXPECT_FALSE(engine->has_work());
  const std::vector<std::byte> page(engine->layer_page_bytes());
  EXPECT_TRUE(engine->import_page(request.id, 0, 0, page).has_value());
  EXPECT_EQ(engine->import_page(request.id, 0, 3, page).error().code, Errc::transfer_failed);
  EXPECT_EQ(engine->import_page(request.id, 99, 0, page).error().code, Errc::transfer_failed);
  EXPECT_EQ(engine->import_page({1, 1}, 0, 0, page).error().code, Errc::transfer_failed);
  EXPECT_EQ(engine->commit_import(request.id, UINT32_MAX).error().code, Errc::transfer_failed);
  EXPECT_EQ(engine->stats().pages_free, engine->stats().pages_total);
  EXPECT_EQ(engine->commit_import(request.id, UINT32_MAX).error().code, Errc::transfer_failed);
}

TEST(EngineTransfer, OfferedPagesStayWhatTheyWereWhenAStepIsInterrupted) {
  auto calm = make_engine({}), engine = make_engine({});
  Request request;
  request.id = {5, 5};
  for (TokenId i = 0; i < 200; ++i) request.prompt.push_back(i);
  const Transfer expected = prefill(*calm, request, 192);

  // The receiver takes nothing for a while, the step that made the offer is interrupted, and another request wants pages.
  bool open = false;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::byte>> taken;
  const auto take = [&](const PrefillProgress& progress) {
    if (!open) return false;
    for (std::size_t i = 0; i < progress.pages.size(); ++i) {
      auto& page = taken[{progress.layer, progress.first_page + static_cast<std::uint32_t>(i)}];
      page.resize(engine->layer_page_bytes());
      engine->export_page(progress.layer, progress.pages[i], page);
    }
    return true;
  };
  ASSERT_TRUE(engine->submit_prefill(request, 192, take).has_value());
  (void)engine->step([] { return true; });
  Request other;
  other.id = {6, 6};
  other.prompt.assign(250, 9);
  other.max_tokens = 3;
  ASSERT_TRUE(engine->submit(other).has_value());
  Answers answers;
  for (int i = 0; i < 10; ++i) collect(engine->step(), answers);
  EXPECT_EQ(answers[std::make_pair(other.id, 0u)].tokens.size(), 3u) << "a held back prompt holds back nobody else";
  open = true;
  bool done = false;
  for (int i = 0; !done && i < 100; ++i) done = !engine->step().prefilled.empty();
  ASSERT_TRUE(done);
  ASSERT_EQ(taken.size(), expected.places.size());
  for (std::size_t i = 0; i < expected.places.size(); ++i)
    EXPECT_TRUE(taken[expected.places[i]] == expected.bytes[i]) << "layer " << expected.places[i].first << ", page " << expected.places[i].second;
  engine->release_prefill(request.id);
  EXPECT_EQ(engine->stats().pages_free + engine->stats().pages_cached, engine->stats().pages_total);
}

/// What `from` holds of a prompt goes to `to`, which computes the rest. Returns the tokens that went.
std::uint32_t fetch(Engine& from, Engine& to, const Request& request) {
  const auto wanted = (static_cast<std::uint32_t>(request.prompt.size()) - 1) / kBlockTokens * kBlockTokens;
  EXPECT_TRUE(to.reserve_import(request, wanted).has_value());
  const auto keys = block_keys(from.model_id(), request.tenant, std::span(request.prompt).first(wanted));
  const HeldBlocks held = from.hold_blocks(request.id, keys);
  std::vector<std::byte> bytes(from.layer_page_bytes());
  for (std::uint32_t layer = 0; layer < from.layers(); ++layer) {
    for (std::uint32_t page = 0; page < held.pages.size(); ++page) {
      from.export_page(layer, held.pages[page], bytes);
      EXPECT_TRUE(to.import_page(request.id, layer, page, bytes).has_value());
    }
  }
  from.release_blocks(request.id);
  EXPECT_TRUE(to.commit_import(request.id, held.tokens).has_value());
  return held.tokens;
}

TEST(EngineTransfer, ARunningStreamContinuesElsewhereFromItsPages) {
  for (const auto& [shape, codec] : {std::pair{"tiny-llama", backend::KvCodec::f16}, std::pair{"tiny-gemma3", backend::KvCodec::f16},
                                     std::pair{"tiny-llama", backend::KvCodec::int8}}) {
    EngineSetup setup;
    setup.shape = shape;
    setup.cpu.kv_codec = codec;
    auto calm = make_engine(setup), from = make_engine(setup);
    Request request;
    request.id = {5, 5};
    for (TokenId i = 0; i < 150; ++i) request.prompt.push_back(i % 90);
    request.max_tokens = 120;
    request.sampling.temperature = 0.9f;
    request.sampling.repetition_penalty = 1.1f;
    Answers expected, before;
    ASSERT_TRUE(calm->submit(request).has_value());
    run(*calm, expected);
    ASSERT_TRUE(from->submit(request).has_value());
    for (int steps = 0; steps < 60; ++steps) collect(from->step(), before);
    Answer& answer = before.begin()->second;
    ASSERT_GT(answer.tokens.size(), 40u);

    auto to = make_engine(setup);
    Request moved = request;
    moved.id = {6, 6};
    for (const GeneratedToken& token : answer.tokens) moved.prompt.push_back(token.token);
    moved.resumed_tokens = static_cast<std::uint32_t>(answer.tokens.size());
    const std::uint32_t went = fetch(*from, *to, moved);
    EXPECT_GE(went + kBlockTokens, moved.prompt.size());
    // The old one goes on meanwhile, in pages that were read.
    run(*from, before);
    EXPECT_EQ(before, expected) << shape;
    Answers after;
    for (int steps = 0; to->has_work() && steps < 1000; ++steps)
      for (const TokenEvent& event : to->step().tokens) after[{event.id, 0}].tokens.push_back(event.tokens.at(0));
    const std::vector<GeneratedToken>& rest = after.begin()->second.tokens;
    const std::vector<GeneratedToken>& whole = expected.begin()->second.tokens;
    ASSERT_EQ(rest.size(), whole.size() - moved.resumed_tokens);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.begin() + moved.resumed_tokens)) << shape;
    EXPECT_EQ(to->stats().prompt_tokens, moved.prompt.size() - went) << "nothing that came was computed";
    for (Engine* engine : {from.get(), to.get()}) EXPECT_EQ(engine->stats().pages_free + engine->stats().pages_cached, engine->stats().pages_total);
  }
}

TEST(EngineTransfer, APartOfAPromptIsTakenAndTheRestComputed) {
  auto from = make_engine({}), to = make_engine({}), calm = make_engine({});
  Request request;
  request.id = {5, 5};
  for (TokenId i = 0; i < 250; ++i) request.prompt.push_back(i % 90);
  request.max_tokens = 10;
  Request shorter = request;
  shorter.prompt.resize(100);  // 6 blocks: one page and a half
  Answers ignored, answers, expected;
  ASSERT_TRUE(from->submit(shorter).has_value());
  run(*from, ignored);
  EXPECT_EQ(fetch(*from, *to, request), 96u);
  run(*to, answers);
  ASSERT_TRUE(calm->submit(request).has_value());
  run(*calm, expected);
  EXPECT_EQ(answers, expected);
  EXPECT_EQ(to->stats().prompt_tokens, 154u);
  EXPECT_EQ(answers.begin()->second.cached_tokens, 96u);
}

TEST(EngineTransfer, HeldBlocksStayWhileOthersWantTheirPages) {
  EngineSetup setup;
  setup.options.kv_bytes = 0;
  auto probe = make_engine({});
  setup.options.kv_bytes = probe->layer_page_bytes() * probe->layers() * 8;  // pages
  auto engine = make_engine(setup);
  Request request;
  request.id = {5, 5};
  for (TokenId i = 0; i < 129; ++i) request.prompt.push_back(i % 90);
  request.max_tokens = 1;
  Answers answers;
  ASSERT_TRUE(engine->submit(request).has_value());
  run(*engine, answers);
  const auto keys = block_keys(engine->model_id(), request.tenant, std::span(request.prompt).first(128));
  const HeldBlocks held = engine->hold_blocks(request.id, keys);
  ASSERT_EQ(held.tokens, 128u);
  std::vector<std::byte> before(engine->layer_page_bytes()), after(before.size());
  engine->export_page(0, held.pages[1], before);
  const auto flood = [&](TokenId token, std::size_t tokens) {
    Request other;
    other.id = {6, static_cast<std::uint64_t>(token)};
    other.prompt.assign(tokens, token);
    other.max_tokens = 1;
    ASSERT_TRUE(engine->submit(other).has_value());
    run(*engine, answers);
  };
  flood(7, 300);
  flood(8, 300);
  engine->export_page(0, held.pages[1], after);
  EXPECT_TRUE(before == after);
  EXPECT_EQ(engine->cached_tokens_for(request.tenant, request.prompt), 128u);
  engine->release_blocks(request.id);
  flood(9, 500);  // all of them
  EXPECT_LT(engine->cached_tokens_for(request.tenant, request.prompt), 128u) << "let go, they are evicted like others";
  EXPECT_EQ(engine->hold_blocks({1, 1}, {}).tokens, 0u);
}

TEST(EngineTransfer, ACancelledImportFreesItsReservation) {
  auto engine = make_engine({});
  Request request;
  request.id = {5, 5};
  request.prompt.assign(130, 7);
  request.max_tokens = 4;
  ASSERT_TRUE(engine->reserve_import(request, 128).has_value());
  engine->cancel(request.id);
  EXPECT_EQ(engine->stats().pages_free, engine->stats().pages_total);
}

}  // namespace
}  // namespace troupe::engine
