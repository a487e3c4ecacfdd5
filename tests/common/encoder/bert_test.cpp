// The forward pass against the formulas in double precision, and its bits against itself.
#include "common/encoder/bert.hpp"

#include <cmath>
#include <functional>

#include "tests/common/encoder/tiny_bert.hpp"

namespace troupe::encoder {
namespace {

using Matrix = std::vector<std::vector<double>>;

/// BERT as its paper writes it, on tensors by name.
class Oracle {
 public:
  Oracle(BertConfig config, TinyTensors tensors) : c_(config), t_(std::move(tensors)) {}

  Matrix states(const std::vector<TokenId>& tokens) const {
    Matrix x(tokens.size(), std::vector<double>(c_.width));
    for (std::size_t p = 0; p < x.size(); ++p)
      for (std::size_t i = 0; i < c_.width; ++i)
        x[p][i] =
            at("embeddings.word_embeddings.weight", static_cast<std::size_t>(tokens[p]) * c_.width + i) +
            at("embeddings.position_embeddings.weight", p * c_.width + i) +
            at("embeddings.token_type_embeddings.weight", i);
    norm(x, "embeddings.LayerNorm");
    for (std::uint32_t layer = 0; layer < c_.layers; ++layer) {
      const std::string name = "encoder.layer." + std::to_string(layer) + ".";
      add(x, dense(attention(x, name + "attention.self."), name + "attention.output.dense"));
      norm(x, name + "attention.output.LayerNorm");
      Matrix hidden = dense(x, name + "intermediate.dense");
      for (auto& row : hidden)
        for (double& value : row) value = value * 0.5 * (1 + std::erf(value / std::sqrt(2.0)));
      add(x, dense(hidden, name + "output.dense"));
      norm(x, name + "output.LayerNorm");
    }
    return x;
  }

 private:
  double at(const std::string& name, std::size_t index) const { return t_.at(name).second.at(index); }
  Matrix dense(const Matrix& x, const std::string& name) const {
    const std::size_t n = t_.at(name + ".weight").first[0], k = t_.at(name + ".weight").first[1];
    Matrix out(x.size(), std::vector<double>(n));
    for (std::size_t row = 0; row < x.size(); ++row)
      for (std::size_t i = 0; i < n; ++i) {
        out[row][i] = at(name + ".bias", i);
        for (std::size_t j = 0; j < k; ++j) out[row][i] += x[row][j] * at(name + ".weight", i * k + j);
      }
    return out;
  }
  Matrix attention(const Matrix& x, const std::string& name) const {
    const Matrix q = dense(x, name + "query"), k = dense(x, name + "key"), v = dense(x, name + "value");
    const std::size_t width = c_.width / c_.heads;
    Matrix out(x.size(), std::vector<double>(c_.width, 0.0));
    for (std::size_t head = 0; head < c_.heads; ++head)
      for (std::size_t row = 0; row < x.size(); ++row) {
        std::vector<double> weights(x.size());
        double sum = 0;
        for (std::size_t other = 0; other < x.size(); ++other) {
          double score = 0;
          for (std::size_t i = head * width; i < (head + 1) * width; ++i) score += q[row][i] * k[other][i];
          sum += weights[other] = std::exp(score / std::sqrt(static_cast<double>(width)));
        }
        for (std::size_t other = 0; other < x.size(); ++other)
          for (std::size_t i = head * width; i < (head + 1) * width; ++i)
            out[row][i] += weights[other] / sum * v[other][i];
      }
    return out;
  }
  static void add(Matrix& x, const Matrix& y) {
    for (std::size_t row = 0; row < x.size(); ++row)
      for (std::size_t i = 0; i < x[row].size(); ++i) x[row][i] += y[row][i];
  }
  void norm(Matrix& x, const std::string& name) const {
    for (auto& row : x) {
      double mean = 0, squares = 0;
      for (const double value : row) mean += value / static_cast<double>(row.size());
      for (const double value : row)
        squares += (value - mean) * (value - mean) / static_cast<double>(row.size());
      for (std::size_t i = 0; i < row.size(); ++i)
        row[i] =
            (row[i] - mean) / std::sqrt(squares + 1e-12) * at(name + ".weight", i) + at(name + ".bias", i);
    }
  }
  BertConfig c_;
  TinyTensors t_;
};

std::vector<TokenId> text(std::size_t tokens, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TokenId> out(tokens);
  for (TokenId& token : out) token = static_cast<TokenId>(random() % tiny_config().vocab);
  return out;
}

std::vector<float> alone(Bert& bert, const std::vector<TokenId>& tokens) {
  const auto length = static_cast<std::uint32_t>(tokens.size());
  const auto states = bert.forward(tokens, {&length, 1});
  return {states.begin(), states.end()};
}

std::unique_ptr<Bert> make(const TinyBert& tiny,
                           std::shared_ptr<backend::Backend> backend = float_backend()) {
  auto bert = Bert::create(tiny.file, std::move(backend), 128);
  EXPECT_TRUE(bert.has_value()) << (bert ? "" : to_string(bert.error()));
  return std::move(*bert);
}

TEST(Bert, StatesAreThoseOfTheFormulas) {
  const TinyBert tiny;
  const auto bert = make(tiny);
  const Oracle oracle(tiny_config(), tiny_tensors(tiny_config()));
  for (const std::size_t tokens : {1, 2, 7, 16, 17, 48}) {
    const auto ids = text(tokens, tokens);
    const Matrix expected = oracle.states(ids);
    const auto found = alone(*bert, ids);
    ASSERT_EQ(found.size(), tokens * tiny_config().width);
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i / tiny_config().width][i % tiny_config().width], 2e-5)
          << tokens << " tokens, " << i;
  }
}

TEST(Bert, TextsBesideOthersHaveTheSameBitsOnEveryInstructionSetAndThread) {
  const TinyBert tiny;
  const std::vector<std::vector<TokenId>> texts{text(1, 1), text(30, 2), text(16, 3), text(48, 4),
                                                text(5, 5)};
  std::vector<TokenId> all;
  std::vector<std::uint32_t> lengths;
  for (const auto& each : texts) {
    all.insert(all.end(), each.begin(), each.end());
    lengths.push_back(static_cast<std::uint32_t>(each.size()));
  }
  const auto first = make(tiny);
  std::vector<float> expected;
  for (const auto& each : texts) {
    const auto states = alone(*first, each);
    expected.insert(expected.end(), states.begin(), states.end());
  }
  for (const backend::Isa isa : backend::supported_isas()) {
    const auto bert = make(tiny, float_backend(isa, 3));
    const auto states = bert->forward(all, lengths);
    EXPECT_EQ(std::vector<float>(states.begin(), states.end()), expected) << static_cast<int>(isa);
  }
}

TEST(Bert, APassCanBeStoppedBetweenLayers) {
  const TinyBert tiny;
  const auto bert = make(tiny);
  const auto ids = text(9, 1);
  const std::uint32_t length = 9;
  int layers = 0;
  EXPECT_TRUE(bert->forward(ids, {&length, 1}, [&] { return ++layers < 1; }).empty());
  EXPECT_EQ(layers, 1);
  EXPECT_FALSE(alone(*bert, ids).empty());
}

TEST(Bert, ABackendThatRoundsIsRefused) {
  const TinyBert tiny;
  auto fast = backend::make_cpu_backend({.threads = 1});
  ASSERT_TRUE(fast.has_value());
  const auto bert = Bert::create(tiny.file, std::shared_ptr<backend::Backend>(std::move(*fast)), 64);
  ASSERT_FALSE(bert.has_value());
  EXPECT_EQ(bert.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace troupe::encoder
