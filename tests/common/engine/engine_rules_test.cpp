// Rules about tokens and samplers that look at more than one of them: answers keep them, and are the same however they are
// scheduled, drafted or resumed, and however few logits a row leaves.
#include <algorithm>

#include "common/grammar/grammar_cache.hpp"
#include "common/tokenizer/token_texts.hpp"
#include "tests/common/engine/draft_rig.hpp"

namespace troupe::engine {
namespace {

constexpr std::uint32_t kLeast = 12;

/// A third of the vocabulary ends an answer.
std::vector<TokenId> many_stop_tokens(std::uint32_t vocab) {
  std::vector<TokenId> out;
  for (std::uint32_t token = 0; token < vocab; token += 3) out.push_back(static_cast<TokenId>(token));
  return out;
}

/// Every sampler and rule, alone and together.
std::vector<Request> ruled_requests(std::size_t count, std::uint32_t vocab) {
  std::vector<Request> out = mixed_requests(count, vocab, 70);
  for (std::size_t i = 0; i < out.size(); ++i) {
    Request& request = out[i];
    request.max_tokens = 20 + static_cast<std::uint32_t>(i % 11);
    SamplingParams& sampling = request.sampling;
    sampling.report_logprobs = false, sampling.logprobs = 0;
    if (i % 2 == 0) request.stop_tokens = many_stop_tokens(vocab), request.rules.min_tokens = kLeast;
    if (i % 3 == 0)
      for (TokenId token = 1; token < static_cast<TokenId>(vocab); token += 5) request.rules.bad_words.push_back({token});
    if (i % 3 == 1)
      for (TokenId token = 0; token < static_cast<TokenId>(vocab); token += 2) request.rules.allowed.push_back(token);
    if (i % 4 == 1) sampling.xtc_probability = 0.5f, sampling.xtc_threshold = 0.02f;
    if (i % 5 == 2) sampling.dry = {1.5f, 1.5f, 1, -1, {3, 4}, {{5, 6}}};
    if (i % 5 == 3) sampling.dynatemp_range = 0.4f, sampling.dynatemp_exponent = 1.5f;
    if (i % 7 == 3) sampling.top_n_sigma = 2.0f;
    if (i % 4 == 2) sampling.repetition_penalty = 1.3f, sampling.repeat_last_n = 8;
  }
  return out;
}

class EngineRules : public ::testing::Test {
 protected:
  void SetUp() override {
    engine_ = make_engine({});
    vocab_ = engine_->model().config().vocab;
    requests_ = ruled_requests(36, vocab_);
    expected_ = run_alone(*engine_, requests_);
  }
  Answer answer_of(const Request& request) {
    Answers answers;
    const auto submitted = engine_->submit(request);
    EXPECT_TRUE(submitted) << (submitted ? "" : to_string(submitted.error()));
    run(*engine_, answers);
    return answers[{request.id, request.first_choice}];
  }
  static std::vector<TokenId> ids(const Answer& answer) {
    std::vector<TokenId> out;
    for (const GeneratedToken& token : answer.tokens) out.push_back(token.token);
    return out;
  }
  Request plain(std::uint64_t id) const {
    Request request;
    request.id = {9, id};
    request.prompt = {5, 6, 7, static_cast<TokenId>(8 + id % 50)};
    request.max_tokens = 40;
    request.sampling.seed = id;
    return request;
  }

  std::unique_ptr<Engine> engine_;
  std::uint32_t vocab_ = 0;
  std::vector<Request> requests_;
  Answers expected_;
};

TEST_F(EngineRules, AnswersKeepThem) {
  int stopped = 0, at_once = 0;
  for (const Request& request : requests_)
    for (std::uint32_t choice = 0; choice < request.choices; ++choice) {
      const Answer& answer = expected_.at({request.id, choice});
      for (const GeneratedToken& token : answer.tokens) {
        if (!request.rules.allowed.empty()) { EXPECT_EQ(token.token % 2, 0); }
        if (!request.rules.bad_words.empty()) { EXPECT_NE(token.token % 5, 1); }
      }
      if (request.rules.min_tokens == 0) continue;
      EXPECT_GT(answer.tokens.size(), kLeast);
      for (std::size_t i = 0; i < kLeast; ++i) EXPECT_NE(answer.tokens[i].token % 3, 0);
      if (answer.finish == FinishReason::stop) { EXPECT_EQ(answer.tokens.back().token % 3, 0); }
      stopped += answer.finish == FinishReason::stop ? 1 : 0;
      Request eager = request;
      eager.id.low += 1000, eager.choices = 1, eager.first_choice = choice, eager.rules.min_tokens = 0;
      at_once += answer_of(eager).tokens.size() < kLeast ? 1 : 0;
    }
  EXPECT_GT(stopped, 8);
  EXPECT_GT(at_once, 8) << "without the rule they would have been shorter";
}

TEST_F(EngineRules, AnswersDependOnNeitherBatchNorChunkNorThreads) {
  EngineSetup small;
  small.options.token_budget = 5, small.options.chunk = 3, small.cpu.threads = 2;
  auto other = make_engine(small);
  EXPECT_EQ(run_batched(*other, requests_), expected_);
  EXPECT_EQ(run_batched(*engine_, requests_), expected_) << "from the cache";
}

TEST_F(EngineRules, DraftsCountOnlyWhereTheRulesLedToThem) {
  for (const std::uint32_t most : {3u, 8u, 24u}) {
    EngineSetup drafting;
    drafting.options.speculation = drafts_always("knowing", most);
    auto drafted = make_engine(drafting);
    teach(requests_, expected_);
    EXPECT_EQ(run_batched(*drafted, requests_), expected_) << most;
    EXPECT_GT(totals(*drafted).accepted, 100u);
  }
  EngineSetup hostile;
  hostile.options.speculation = drafts_always("hostile");
  auto other = make_engine(hostile);
  EXPECT_EQ(run_batched(*other, requests_), expected_);
}

TEST_F(EngineRules, AStreamGoesOnFromItsTokensWhereverItWasCut) {
  for (const std::size_t which : {0u, 1u, 2u, 3u, 5u, 6u, 7u, 10u, 13u, 17u}) {
    Request whole = requests_[which];
    whole.choices = 1;
    const Answer expected = expected_.at({whole.id, 0});
    for (std::size_t cut = 1; cut < expected.tokens.size(); cut += 4) {
      Request rest = whole;
      rest.id.low += 5000 + cut;
      for (std::size_t i = 0; i < cut; ++i) rest.prompt.push_back(expected.tokens[i].token);
      rest.resumed_tokens = static_cast<std::uint32_t>(cut);
      ASSERT_TRUE(engine_->submit(rest));
      Answer resumed;
      while (engine_->has_work())
        for (const TokenEvent& event : engine_->step().tokens) {
          resumed.tokens.insert(resumed.tokens.end(), event.tokens.begin(), event.tokens.end());
          resumed.finish = event.finish;
        }
      EXPECT_EQ(resumed.finish, expected.finish);
      EXPECT_EQ(resumed.tokens, std::vector<GeneratedToken>(expected.tokens.begin() + static_cast<std::ptrdiff_t>(cut),
                                                            expected.tokens.end()))
          << "request " << which << " cut at " << cut;
    }
  }
}

TEST_F(EngineRules, RowsThatLeaveFewLogitsDrawWhatAllOfThemWould) {
  for (std::uint64_t i = 0; i < 24; ++i) {
    Request request = plain(i);
    SamplingParams& sampling = request.sampling;
    sampling.temperature = i % 6 == 0 ? 0.0f : 1.1f;
    sampling.top_k = 30;
    if (i % 2 == 0) sampling.xtc_probability = 0.7f, sampling.xtc_threshold = 0.03f;
    if (i % 3 == 0) sampling.dynatemp_range = 0.5f;
    if (i % 4 == 1) request.stop_tokens = many_stop_tokens(vocab_), request.rules.min_tokens = 9;  // few logits from the tenth on
    const Answer few = answer_of(request);
    request.id.low += 1000;
    sampling.report_logprobs = true;  // wants all of them
    EXPECT_EQ(ids(answer_of(request)), ids(few)) << i;
  }
}

TEST_F(EngineRules, ARunOfTokensIsBrokenAtItsLastOne) {
  Request request = plain(3);
  request.sampling.temperature = 0;
  const std::vector<TokenId> unruled = ids(answer_of(request));
  Request ruled = plain(4);
  ruled.prompt = request.prompt;
  ruled.sampling.temperature = 0;
  ruled.rules.bad_words = {{unruled[3], unruled[4], unruled[5]}};
  const std::vector<TokenId> found = ids(answer_of(ruled));
  const auto at = std::search(unruled.begin(), unruled.end(), ruled.rules.bad_words[0].begin(), ruled.rules.bad_words[0].end());
  const std::ptrdiff_t same = at - unruled.begin() + 2;  // the first place where it stands may be before the fourth token
  EXPECT_TRUE(std::equal(unruled.begin(), unruled.begin() + same, found.begin()));
  EXPECT_NE(found[static_cast<std::size_t>(same)], unruled[static_cast<std::size_t>(same)]);
  EXPECT_EQ(std::search(found.begin(), found.end(), ruled.rules.bad_words[0].begin(), ruled.rules.bad_words[0].end()), found.end());
}

TEST_F(EngineRules, NoTokenThatIsLeftIsAnErrorAndNotALoop) {
  Request request = plain(1);
  request.rules.allowed = {3};
  request.rules.bad_words = {{3, 3}};
  ASSERT_TRUE(engine_->submit(request));
  std::vector<TokenEvent> events;
  while (engine_->has_work())
    for (TokenEvent& event : engine_->step().tokens) events.push_back(std::move(event));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].tokens[0].token, 3);
  EXPECT_EQ(events[1].finish, FinishReason::error);
  EXPECT_EQ(events[1].error->code, Errc::invalid_argument);
  EXPECT_NE(events[1].error->detail.find("bad_words"), std::string::npos);
}

TEST_F(EngineRules, AGrammarAndRulesHoldTogether) {
  const auto tokenizer = *Tokenizer::from_gguf(tiny_model("tiny-llama")->file());
  const auto vocabulary = std::make_shared<const grammar::TokenTrie>(token_texts(*tokenizer));
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Request request = plain(seed);
    request.grammar = *grammar::GrammarCache(vocabulary).find({grammar::Kind::regex, "[0-9]{2,12}"});
    request.stop_tokens = {tokenizer->eos()};
    request.sampling.logit_bias = {{tokenizer->eos(), 100.0f}};
    request.rules.min_tokens = 4;
    const TokenId seven = (*tokenizer->encode("7", SpecialTokens::as_text, false))[0];
    request.rules.bad_words = {{seven}};
    const Answer answer = answer_of(request);
    EXPECT_GE(answer.tokens.size(), 4u) << "the end was likely from the second digit on";
    EXPECT_EQ(answer.finish, FinishReason::stop);
    for (const TokenId token : ids(answer)) EXPECT_NE(token, seven);
  }
}

TEST_F(EngineRules, ASearchRefusesThem) {
  Request request = plain(1);
  request.sampling.temperature = 0;
  request.beam.width = 2;
  EXPECT_TRUE(engine_->submit(request));
  Answers answers;
  run(*engine_, answers);
  request.rules.min_tokens = 3;
  EXPECT_FALSE(engine_->submit(request));
}

TEST_F(EngineRules, TokensOutsideTheVocabularyAreRefused) {
  Request request = plain(1);
  request.rules.allowed = {static_cast<TokenId>(vocab_)};
  const auto submitted = engine_->submit(request);
  ASSERT_FALSE(submitted);
  EXPECT_EQ(submitted.error().code, Errc::invalid_argument);
}

TEST_F(EngineRules, AReferenceIsCopiedAndChangesNothing) {
  EngineSetup copying;
  copying.options.speculation = drafts_always("off");
  auto other = make_engine(copying);
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 6; ++i) requests.push_back(plain(i));
  const Answers expected = run_alone(*engine_, requests);
  for (Request& request : requests) {
    request.reference = ids(expected.at({request.id, 0}));
    request.drafter = "input-copy";
  }
  EXPECT_EQ(run_batched(*other, requests), expected);
  EXPECT_GT(totals(*other).accepted, 6u * 20u) << "of forty tokens each, nearly all were guessed";
  requests[0].reference = {1, 2, 3};
  requests[1].reference.clear();
  EXPECT_EQ(run_batched(*other, requests), expected) << "a wrong one is no matter";
}

}  // namespace
}  // namespace troupe::engine
