#include "services/bench/engine/quality.hpp"

#include <cmath>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/services/bench_engine/tiny.hpp"

namespace troupe::bench {
namespace {

TEST(Divergence, OfTwoTokensIsWhatTheFormulaSays) {
  const std::vector<float> even{1, 1}, odd{std::log(3.0f), 0};  // (1/2, 1/2) and (3/4, 1/4)
  Divergence divergence;
  add_position(divergence, even, odd, 0);
  EXPECT_NEAR(divergence.mean_kl(), 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-7);
  EXPECT_NEAR(divergence.perplexity(), 4.0 / 3, 1e-6);
  add_position(divergence, even, even, -1);  // nothing follows: no loss
  EXPECT_EQ(divergence.predicted, 1u);
  EXPECT_EQ(divergence.kl.back(), 0);
  EXPECT_EQ(divergence.same_top, 2u);
}

TEST(Sequences, AreCutWithABeginTokenEach) {
  const std::vector<TokenId> tokens{1, 2, 3, 4, 5};
  EXPECT_EQ(cut_sequences(tokens, 3, -1), (TokenSequences{{1, 2, 3}, {4, 5}}));
  EXPECT_EQ(cut_sequences(tokens, 3, 9), (TokenSequences{{9, 1, 2}, {9, 3, 4}, {9, 5}}));
  EXPECT_EQ(cut_sequences(tokens, 4, -1), (TokenSequences{{1, 2, 3, 4}}));  // one token predicts nothing
}

TEST(Sequences, SurviveTheFileAndRefuseForeignTokens) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "troupe_bench_sequences";
  const TokenSequences sequences{{1, 2, 3}, {7}};
  ASSERT_TRUE(write_sequences(path, sequences));
  EXPECT_EQ(read_sequences(path, 8).value(), sequences);
  EXPECT_EQ(read_sequences(path, 7).error().code, Errc::file_malformed);
  std::ofstream(path) << "1 2 three\n";
  EXPECT_EQ(read_sequences(path, 8).error().code, Errc::file_malformed);
  std::filesystem::remove(path);
  EXPECT_EQ(read_sequences(path, 8).error().code, Errc::file_not_found);
}

TokenSequences counted(std::size_t first, std::size_t second) {
  TokenSequences sequences(2);
  for (std::size_t i = 0; i < first + second; ++i) sequences[i >= first].push_back(static_cast<TokenId>(i * 7 % 300 + 3));
  return sequences;
}

TEST(Quality, ComparesThePathsOnEveryPosition) {
  const TinyModel tiny;
  const auto report = run_quality(tiny.model(), {.threads = 1}, counted(100, 30), {}, [](double) {});
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(report->positions, 130u);
  EXPECT_EQ(report->reference.kl.size(), 130u);
  EXPECT_EQ(report->reference.predicted, 128u);
  EXPECT_EQ(report->reference.mean_kl(), 0);
  EXPECT_EQ(report->reference.same_top, 130u);
  EXPECT_EQ(report->fast.predicted, 128u);
  EXPECT_GT(report->fast.mean_kl(), 0);  // 8-bit activations leave a trace
  EXPECT_LT(report->fast.mean_kl(), 0.05);
  EXPECT_NEAR(report->fast.perplexity() / report->reference.perplexity(), 1, 0.1);
}

TEST(Quality, MeasuresLossyPagesBesideTheExactOnes) {
  const TinyModel tiny;
  const auto report = run_quality(tiny.model(), {.threads = 1, .kv_codec = backend::KvCodec::int8}, counted(100, 30), {}, [](double) {});
  ASSERT_TRUE(report) << to_string(report.error());
  const auto exact = run_quality(tiny.model(), {.threads = 1}, counted(100, 30), {}, [](double) {});
  EXPECT_EQ(report->fast.kl, exact->fast.kl) << "the fast path keeps exact pages";
  EXPECT_FALSE(exact->codec.has_value());
  EXPECT_EQ(report->codec->kl.size(), 130u);
  EXPECT_EQ(report->codec->predicted, 128u);
  EXPECT_GT(report->codec_alone->mean_kl(), 0);
  EXPECT_LT(report->codec_alone->mean_kl(), 0.05);
  EXPECT_NE(report->codec->log_loss, report->fast.log_loss);
}

void write_logits(const std::filesystem::path& path, std::uint32_t vocab, std::uint32_t rows, std::size_t floats) {
  std::ofstream out(path, std::ios::binary);
  out.write("TROUPELG", 8);
  out.write(reinterpret_cast<const char*>(&vocab), 4);
  out.write(reinterpret_cast<const char*>(&rows), 4);
  const std::vector<float> even(floats, 0.5f);
  out.write(reinterpret_cast<const char*>(even.data()), static_cast<std::streamsize>(floats * sizeof(float)));
}

TEST(Quality, PutsAnotherEnginesLogitsBeside) {
  const TinyModel tiny;
  const auto vocab = tiny.model()->config().vocab;
  const auto path = tiny.folder() / "logits";
  write_logits(path, vocab, 20, std::size_t{20} * vocab);
  const auto report = run_quality(tiny.model(), {.threads = 1}, counted(12, 8), {{"even", path}}, [](double) {});
  ASSERT_TRUE(report) << to_string(report.error());
  ASSERT_EQ(report->others.size(), 1u);
  EXPECT_NEAR(report->others[0].perplexity(), vocab, 0.01);  // no opinion: every token as probable as any other
  EXPECT_GT(report->others[0].mean_kl(), report->fast.mean_kl());
}

TEST(Quality, RefusesLogitsOfAnotherShape) {
  const TinyModel tiny;
  const auto vocab = tiny.model()->config().vocab;
  const auto path = tiny.folder() / "logits";
  const auto error_with = [&](std::uint32_t columns, std::uint32_t rows, std::size_t floats) {
    write_logits(path, columns, rows, floats);
    return run_quality(tiny.model(), {.threads = 1}, counted(12, 8), {{"peer", path}}, [](double) {}).error().code;
  };
  EXPECT_EQ(error_with(vocab, 19, std::size_t{20} * vocab), Errc::file_malformed);
  EXPECT_EQ(error_with(vocab - 1, 20, std::size_t{20} * vocab), Errc::file_malformed);
  EXPECT_EQ(error_with(vocab, 20, std::size_t{10} * vocab), Errc::file_malformed);  // ends early
  std::ofstream(path) << "something else";
  EXPECT_EQ(run_quality(tiny.model(), {}, counted(12, 8), {{"peer", path}}, [](double) {}).error().code, Errc::file_malformed);
}

TEST(Quality, TheDefaultTextIsLongEnoughToTell) { EXPECT_GT(default_quality_text().size(), 2500u); }

}  // namespace
}  // namespace troupe::bench
