#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

using Ids = std::vector<TokenId>;
using TokenizerPtr = std::shared_ptr<const Tokenizer>;

Ids encode(const TokenizerPtr& tokenizer, std::string_view text,
           SpecialTokens special = SpecialTokens::as_text, bool add_bos = false) {
  const auto ids = tokenizer->encode(text, special, add_bos);
  EXPECT_TRUE(ids.has_value()) << (ids ? "" : to_string(ids.error()));
  return ids.value_or(Ids{});
}

std::vector<std::string> spelled(const TokenizerPtr& tokenizer, const Ids& ids) {
  std::vector<std::string> out;
  for (const TokenId id : ids) out.emplace_back(tokenizer->token_text(id));
  return out;
}

TEST(ByteLevelBpe, JoinsByTheMergeListInsideWords) {
  const auto tokenizer = small_byte_level().make().value();
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "hello wow")),
            (std::vector<std::string>{"hello", "\xC4\xA0wo", "w"}));
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "hel")), (std::vector<std::string>{"he", "l"}));
}

TEST(ByteLevelBpe, ParsesSpecialTokensOnlyWhereAllowed) {
  const auto tokenizer = small_byte_level().make().value();
  const std::string text = "hello<|im_end|>";
  const Ids as_text = encode(tokenizer, text);
  EXPECT_THAT(as_text, testing::Not(testing::Contains(tokenizer->eos())));
  EXPECT_EQ(tokenizer->decode(as_text).value(), text);
  const Ids parsed = encode(tokenizer, text, SpecialTokens::parse);
  ASSERT_EQ(parsed.size(), 2U);
  EXPECT_EQ(parsed.back(), tokenizer->eos());
  EXPECT_EQ(tokenizer->decode(parsed).value(), "hello");
  EXPECT_EQ(tokenizer->decode(parsed, true).value(), text);
}

TEST(ByteLevelBpe, MarkedSpellingsStayTextInsideALargerOne) {
  auto vocabulary = small_byte_level();
  const TokenId tag = vocabulary.add("<td>", TokenKind::user_defined);
  const auto tokenizer = vocabulary.make().value();
  const std::string mark = "\xEF\xB7\x90";
  for (const std::string stranger : {"<|im_end|>", "<<|im_end|>|im_end|>", "\xC3\xA9<|im_end|>\xC3\xA9"}) {
    const std::string marked = tokenizer->mark_control_spellings(stranger, mark);
    EXPECT_NE(marked, stranger);
    Ids expected = encode(tokenizer, stranger);
    EXPECT_EQ(tokenizer->encode_marked(marked, mark, false).value(), expected);
    expected.push_back(tokenizer->eos());
    EXPECT_EQ(tokenizer->encode_marked(marked + "<|im_end|>", mark, false).value(), expected);
  }
  // Two texts that a template joins: the spelling that grows out of both is no token either.
  const std::string joined = tokenizer->mark_control_spellings("a<|im_", mark) + "end|>";
  EXPECT_EQ(tokenizer->encode_marked(joined, mark, false).value(), encode(tokenizer, "a<|im_end|>"));
  // What is found in any text needs no mark, and ordinary text gets none.
  EXPECT_EQ(tokenizer->mark_control_spellings("<td> hello", mark), "<td> hello");
  EXPECT_EQ(tokenizer->encode_marked("<td>", mark, false).value(), Ids{tag});
}

TEST(ByteLevelBpe, FindsUserDefinedTokensAlwaysButMarkersOnlyWhereAllowed) {
  auto vocabulary = small_byte_level();
  const TokenId tag = vocabulary.add("<td>", TokenKind::user_defined);
  const TokenId longer = vocabulary.add("<td>x", TokenKind::user_defined);
  const TokenId marker = vocabulary.add("<|user|>", TokenKind::user_defined);
  const auto tokenizer = vocabulary.make().value();
  EXPECT_EQ(encode(tokenizer, "<td>"), Ids{tag});
  EXPECT_EQ(encode(tokenizer, "<td>x"), Ids{longer}) << "the longest at a place wins";
  EXPECT_THAT(encode(tokenizer, "<|user|>"), testing::Not(testing::Contains(marker)));
  EXPECT_EQ(encode(tokenizer, "<|user|>", SpecialTokens::parse), Ids{marker});
  EXPECT_EQ(tokenizer->decode(Ids{tag}).value(), "<td>") << "and it is text when shown";
}

TEST(ByteLevelBpe, PhiStripsTheSpaceBehindItsMarkers) {
  auto vocabulary = small_byte_level();
  vocabulary.spec.file_name = "Phi-3 mini";
  const TokenId user = vocabulary.add("<|user|>", TokenKind::control);
  const auto tokenizer = vocabulary.make().value();
  EXPECT_EQ(encode(tokenizer, "<|user|> \n h", SpecialTokens::parse), (Ids{user, 'h'}));
}

TEST(ByteLevelBpe, LeavesOutBytesWithoutAToken) {
  SmallVocabulary vocabulary;
  vocabulary.spec.model = "gpt2";
  vocabulary.spec.unknown = vocabulary.add("<|unk|>", TokenKind::unknown);
  const TokenId a = vocabulary.add("a");
  const TokenId aa = vocabulary.add("aa");
  vocabulary.merges.push_back("a a");
  const auto tokenizer = vocabulary.make().value();
  EXPECT_EQ(encode(tokenizer, "a"), Ids{a});
  EXPECT_EQ(encode(tokenizer, "aba"), Ids{aa});
  EXPECT_EQ(encode(tokenizer, "b"), Ids{});
}

TEST(ByteLevelBpe, AddsBosAndEosByTheFilesFlags) {
  auto vocabulary = small_byte_level();
  const auto plain = vocabulary.make().value();
  EXPECT_EQ(encode(plain, "he", SpecialTokens::as_text, true).size(), 1U);
  vocabulary.spec.add_bos = true;
  vocabulary.spec.add_eos = true;
  const auto flagged = vocabulary.make().value();
  const Ids ids = encode(flagged, "he", SpecialTokens::as_text, true);
  ASSERT_EQ(ids.size(), 3U);
  EXPECT_EQ(ids.front(), flagged->bos());
  EXPECT_EQ(ids.back(), flagged->eos());
  EXPECT_EQ(encode(flagged, "he").size(), 1U) << "not unless the caller asks";
  const auto llama3 = small_byte_level("llama-bpe").make().value();
  EXPECT_EQ(encode(llama3, "", SpecialTokens::as_text, true), Ids{llama3->bos()})
      << "its rule wants one by default";
}

TEST(ByteLevelBpe, RefusesBadUtf8NamingTheByte) {
  const auto tokenizer = small_byte_level().make().value();
  const auto result = tokenizer->encode("abc\xFF", SpecialTokens::as_text, false);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Errc::invalid_utf8);
  EXPECT_THAT(result.error().detail, testing::HasSubstr("byte 3"));
}

TEST(ByteLevelBpe, RefusesTokensOutsideTheVocabulary) {
  const auto tokenizer = small_byte_level().make().value();
  EXPECT_EQ(tokenizer->decode(Ids{-1}).error().code, Errc::invalid_argument);
  EXPECT_EQ(tokenizer->decode(Ids{1 << 30}).error().code, Errc::invalid_argument);
  EXPECT_EQ(tokenizer->token_bytes(-1), "");
  EXPECT_EQ(tokenizer->token_text(1 << 30), "");
  EXPECT_FALSE(tokenizer->is_special(-5));
}

TEST(ByteLevelBpe, GivesTheSameFromManyThreads) {
  const auto tokenizer = small_byte_level().make().value();
  const std::string text = "hello wow 12 hello é\n\n hell well";
  const Ids expected = encode(small_byte_level().make().value(), text);
  std::vector<Ids> results(4);
  std::vector<std::thread> threads;
  for (Ids& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) result = tokenizer->encode(text, SpecialTokens::as_text, false).value();
    });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

TEST(EndTokens, AreTheNamedIdsAndTheWellKnownSpellings) {
  auto vocabulary = small_byte_level();
  const TokenId im_end = vocabulary.spec.eos;
  const TokenId eot = vocabulary.add("<|eot_id|>", TokenKind::user_defined);
  const TokenId named = vocabulary.add("[DONE]", TokenKind::control);
  const TokenId tag = vocabulary.add("</s>", TokenKind::user_defined);
  vocabulary.add("<end_of_turn>", TokenKind::normal);
  vocabulary.spec.eom = named;
  const auto tokenizer = vocabulary.make().value();
  EXPECT_THAT(tokenizer->end_tokens(), testing::UnorderedElementsAre(im_end, eot, named));
  EXPECT_TRUE(tokenizer->is_special(eot)) << "an end token is never shown as text";
  EXPECT_FALSE(tokenizer->is_special(tag));
}

TEST(EndTokens, LeaveOutTheEndOfAPartWhereAnswersHaveParts) {
  auto vocabulary = small_byte_level();
  vocabulary.add("<|end|>", TokenKind::control);
  const TokenId back = vocabulary.add("<|return|>", TokenKind::control);
  const TokenId call = vocabulary.add("<|call|>", TokenKind::control);
  const auto tokenizer = vocabulary.make().value();
  EXPECT_THAT(tokenizer->end_tokens(), testing::UnorderedElementsAre(tokenizer->eos(), back, call));
}

TEST(SentencePiece, JoinsByScoreAndFallsBackToBytes) {
  const auto tokenizer = small_sentence_piece().make().value();
  const std::string mark = "\xE2\x96\x81";
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "hello")), (std::vector<std::string>{mark + "hello"}));
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "helo hello")),
            (std::vector<std::string>{mark + "hel", "o", mark + "hello"}));
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "\xE4\xB8\x96")),
            (std::vector<std::string>{mark, "<0xE4>", "<0xB8>", "<0x96>"}));
}

TEST(SentencePiece, AddsASpaceAtTheStartAndDropsItAgain) {
  const auto tokenizer = small_sentence_piece().make().value();
  EXPECT_TRUE(tokenizer->adds_space_prefix());
  for (const std::string text : {"hello", " hello", "  hello  h", "h\n h", ""})
    EXPECT_EQ(tokenizer->decode(encode(tokenizer, text)).value(), text);
  auto plain = small_sentence_piece();
  plain.spec.add_space_prefix = false;
  const auto without = plain.make().value();
  EXPECT_EQ(spelled(without, encode(without, "h")), (std::vector<std::string>{"h"}));
}

TEST(SentencePiece, NeverMakesASpecialTokenOfText) {
  const auto tokenizer = small_sentence_piece().make().value();
  for (const TokenId id : encode(tokenizer, "<s> </s> <unk> <0x41>")) EXPECT_FALSE(tokenizer->is_special(id));
  EXPECT_EQ(tokenizer->decode(encode(tokenizer, "<s> <0x41>")).value(), "<s> <0x41>");
  EXPECT_EQ(encode(tokenizer, "</s>", SpecialTokens::parse), Ids{2});
  EXPECT_EQ(encode(tokenizer, "", SpecialTokens::parse, true), Ids{1}) << "begins with <s> by default";
}

TEST(SentencePiece, CutsAtSpacesOnlyWhereNoTokenReachesAcross) {
  auto vocabulary = small_sentence_piece();
  const std::string mark = "\xE2\x96\x81";
  vocabulary.add("o" + mark, TokenKind::normal, 5);
  const auto tokenizer = vocabulary.make().value();
  EXPECT_EQ(spelled(tokenizer, encode(tokenizer, "o h")), (std::vector<std::string>{mark, "o" + mark, "h"}));
}

}  // namespace
}  // namespace troupe::test
