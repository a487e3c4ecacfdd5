// Answers of a given form: whatever is drawn, however it is scheduled, resumed or drafted, they are what the grammar allows.
#include "common/grammar/grammar_cache.hpp"
#include "common/tokenizer/token_texts.hpp"
#include "tests/common/engine/draft_rig.hpp"

namespace troupe::engine {
namespace {

using grammar::Kind;
using grammar::Source;

const Source kObject{Kind::json_schema, R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},
  "size":{"enum":["small","large"]},"marks":{"type":"array","items":{"type":"integer","minimum":0,"maximum":99},"maxItems":3}},
  "required":["name","size","marks"],"additionalProperties":false})"};
const Source kDigits{Kind::regex, "[0-9]{3,6}"};

class EngineGrammar : public ::testing::Test {
 protected:
  void SetUp() override {
    tokenizer_ = *Tokenizer::from_gguf(tiny_model("tiny-llama")->file());
    vocabulary_ = std::make_shared<const grammar::TokenTrie>(token_texts(*tokenizer_));
  }
  /// A new automaton each time, so that an answer cannot depend on what another one left in it.
  Request request(const Source& source, std::uint64_t id, float temperature = 1.2f) const {
    Request out;
    out.id = {7, id};
    out.prompt = {5, 6, 7, static_cast<TokenId>(8 + id)};
    out.max_tokens = 120;
    out.sampling.seed = id;
    out.sampling.temperature = temperature;
    out.stop_tokens = {tokenizer_->eos()};
    out.grammar = *grammar::GrammarCache(vocabulary_).find(source);
    return out;
  }
  std::vector<Request> requests(std::size_t count) const {
    std::vector<Request> out;
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back(request(i % 2 == 0 ? kObject : kDigits, i, i % 5 == 0 ? 0.0f : 1.2f));
      if (i % 3 == 0) out.back().sampling.repetition_penalty = 1.2f;
      if (i % 4 == 1) out.back().sampling.top_p = 0.9f;
      if (i % 7 == 2) out.back().choices = 2;
    }
    return out;
  }
  std::string text_of(const Answer& answer) const {
    std::string text;
    for (const GeneratedToken& token : answer.tokens) text += tokenizer_->token_bytes(token.token);
    return text;
  }
  void expect_allowed(const Source& source, const Answer& answer) const {
    const auto automaton = *grammar::GrammarCache(vocabulary_).find(source);
    grammar::Automaton::State state = automaton->start();
    for (const char c : text_of(answer)) state = automaton->step(state, static_cast<std::uint8_t>(c));
    EXPECT_NE(state, grammar::Automaton::kDead) << text_of(answer);
    EXPECT_EQ(answer.finish, automaton->ends(state) ? FinishReason::stop : FinishReason::length) << text_of(answer);
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const grammar::TokenTrie> vocabulary_;
};

TEST_F(EngineGrammar, AnswersAreWhatTheGrammarAllows) {
  auto engine = make_engine({});
  const auto all = requests(40);
  const Answers answers = run_batched(*engine, all);
  int whole = 0;
  for (const auto& [key, answer] : answers) {
    expect_allowed(key.first.low % 2 == 0 ? kObject : kDigits, answer);
    whole += answer.finish == FinishReason::stop ? 1 : 0;
  }
  EXPECT_GT(answers.size(), all.size()) << "some have two choices";
  EXPECT_GT(whole, 20);
}

TEST_F(EngineGrammar, AnswersDependOnNeitherBatchNorChunkNorWhatTheAutomatonHasSeen) {
  auto engine = make_engine({});
  const auto all = requests(16);
  const Answers alone = run_alone(*engine, all);
  EngineSetup small;
  small.options.token_budget = 3;
  small.options.chunk = 2;
  auto other = make_engine(small);
  EXPECT_EQ(run_batched(*other, all), alone);
  auto shared = all;  // every request of a source through one automaton
  for (Request& request : shared) request.grammar = shared[request.id.low % 2].grammar;
  EXPECT_EQ(run_batched(*engine, shared), alone);
}

TEST_F(EngineGrammar, DraftsCountOnlyWhereTheGrammarLedToThem) {
  auto engine = make_engine({});
  const auto all = requests(20);
  const Answers plain = run_alone(*engine, all);
  EngineSetup drafting;
  drafting.options.speculation = drafts_always("knowing", 8);
  auto drafted = make_engine(drafting);
  teach(all, plain);
  EXPECT_EQ(run_batched(*drafted, all), plain);
  EXPECT_GT(totals(*drafted).accepted, 50u);
}

TEST_F(EngineGrammar, TextThatTheFormLeadsToRidesAlongInFewerSteps) {
  auto engine = make_engine({});
  const auto all = requests(20);
  const Answers plain = run_alone(*engine, all);
  EngineSetup jumping;
  jumping.options.speculation.always = true;  // at any price; requests and option say off
  auto other = make_engine(jumping);
  EXPECT_EQ(run_batched(*other, all), plain);
  const std::vector<speculation::DraftCounters> drafts = other->stats().drafts;
  std::uint64_t accepted = 0;
  for (std::size_t i = 0; i < speculation::builtin_drafters().size(); ++i) {
    const speculation::DraftCounters& counters = drafts[i];
    if (speculation::builtin_drafters()[i].name == "jump-forward") {
      accepted = counters.accepted;
    } else {
      EXPECT_EQ(counters.proposed, 0u) << speculation::builtin_drafters()[i].name;
    }
  }
  EXPECT_GT(accepted, 50u);
}

TEST_F(EngineGrammar, AStreamGoesOnFromItsTokensWhereverItWasCut) {
  auto engine = make_engine({});
  for (const Source& source : {kObject, kDigits}) {
    const Request whole = request(source, 3);
    Answers answers;
    ASSERT_TRUE(engine->submit(whole));
    run(*engine, answers);
    const Answer& expected = answers.begin()->second;
    for (std::size_t cut = 0; cut < expected.tokens.size(); ++cut) {
      if (expected.tokens[cut].token == tokenizer_->eos()) break;  // nothing is resumed behind the end
      Request rest = request(source, 3);
      for (std::size_t i = 0; i < cut; ++i) rest.prompt.push_back(expected.tokens[i].token);
      rest.resumed_tokens = static_cast<std::uint32_t>(cut);
      ASSERT_TRUE(engine->submit(rest));
      Answer resumed;
      while (engine->has_work())
        for (const TokenEvent& event : engine->step().tokens) {
          resumed.tokens.insert(resumed.tokens.end(), event.tokens.begin(), event.tokens.end());
          resumed.finish = event.finish;
        }
      EXPECT_EQ(resumed.finish, expected.finish);
      EXPECT_EQ(resumed.tokens, std::vector<GeneratedToken>(expected.tokens.begin() + static_cast<std::ptrdiff_t>(cut), expected.tokens.end()));
    }
  }
}

TEST_F(EngineGrammar, AWholeAnswerThatIsResumedEndsWithoutAToken) {
  auto engine = make_engine({});
  Request rest = request({Kind::choice, "[\"a\"]"}, 1);
  rest.prompt.push_back((*tokenizer_->encode("a", SpecialTokens::as_text, false))[0]);
  rest.resumed_tokens = 1;
  Answers answers;
  ASSERT_TRUE(engine->submit(rest));
  const StepOutput out = engine->step();
  ASSERT_EQ(out.tokens.size(), 1u);
  EXPECT_TRUE(out.tokens[0].tokens.empty());
  EXPECT_EQ(out.tokens[0].finish, FinishReason::stop);
}

TEST_F(EngineGrammar, AnAnswerEndsOnlyWhereItMay) {
  auto engine = make_engine({});
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Request wish = request(kDigits, seed);
    wish.sampling.logit_bias = {{tokenizer_->eos(), 100.0f}};  // as soon as it may
    Answers answers;
    ASSERT_TRUE(engine->submit(wish));
    run(*engine, answers);
    EXPECT_EQ(text_of(answers.begin()->second).size(), 3u);
    EXPECT_EQ(answers.begin()->second.finish, FinishReason::stop);
    wish.id.low += 100;
    wish.sampling.logit_bias = {{tokenizer_->eos(), -100.0f}};  // as late as it can: nothing may follow six
    answers.clear();
    ASSERT_TRUE(engine->submit(wish));
    run(*engine, answers);
    EXPECT_EQ(text_of(answers.begin()->second).size(), 6u);
    EXPECT_EQ(answers.begin()->second.finish, FinishReason::stop);
  }
}

TEST_F(EngineGrammar, CutAnswersSaySo) {
  auto engine = make_engine({});
  Request wish = request(kObject, 2);
  wish.max_tokens = 5;
  Answers answers;
  ASSERT_TRUE(engine->submit(wish));
  run(*engine, answers);
  EXPECT_EQ(answers.begin()->second.finish, FinishReason::length);
  EXPECT_EQ(answers.begin()->second.tokens.size(), 5u);
}

TEST_F(EngineGrammar, LogProbabilitiesAreOfTheModelNotOfTheGrammar) {
  auto engine = make_engine({});
  Request wish = request({Kind::choice, "[\"qq\"]"}, 2);
  wish.sampling.report_logprobs = true;
  Answers answers;
  ASSERT_TRUE(engine->submit(wish));
  run(*engine, answers);
  EXPECT_LT(answers.begin()->second.tokens[0].logprob, -1.0f) << "only one token was allowed";
}

TEST_F(EngineGrammar, ResumedTokensThatTheGrammarForbidsAreRefused) {
  auto engine = make_engine({});
  Request rest = request(kDigits, 1);
  rest.prompt.push_back((*tokenizer_->encode("x", SpecialTokens::as_text, false))[0]);
  rest.resumed_tokens = 1;
  const auto submitted = engine->submit(rest);
  ASSERT_FALSE(submitted);
  EXPECT_EQ(submitted.error().code, Errc::invalid_argument);
}

/// A vocabulary without a digit cannot go on: an error, not an endless loop or a wrong answer.
TEST_F(EngineGrammar, NoTokenForWhatMustFollowIsAnError) {
  std::vector<std::string> texts = token_texts(*tokenizer_);
  for (std::string& text : texts)
    if (text.find_first_of("0123456789") != std::string::npos) text.clear();
  auto engine = make_engine({});
  Request wish = request(kDigits, 1);
  wish.grammar = *grammar::GrammarCache(std::make_shared<const grammar::TokenTrie>(std::move(texts))).find(kDigits);
  ASSERT_TRUE(engine->submit(wish));
  const StepOutput out = engine->step();
  ASSERT_EQ(out.tokens.size(), 1u);
  EXPECT_EQ(out.tokens[0].finish, FinishReason::error);
  ASSERT_TRUE(out.tokens[0].error.has_value());
  EXPECT_FALSE(engine->has_work());
}

}  // namespace
}  // namespace troupe::engine
