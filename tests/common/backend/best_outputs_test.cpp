// linear_best() keeps what a sort of linear()'s outputs puts first, bit for bit.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Kept {
  std::vector<std::vector<Scored>> best;
  std::vector<float> whole;
};

Kept keep_best(Rig& rig, const std::vector<float>& x, const Weight& weight, float cap, const std::vector<std::int32_t>& keep) {
  const auto rows = static_cast<std::uint32_t>(keep.size());
  const auto others = static_cast<std::uint32_t>(std::count(keep.begin(), keep.end(), 0));
  Held in = rig.floats(rows, weight.cols(), x), prepared = rig.activation(rows, weight.cols());
  Held wanted = rig.ints(keep), whole = rig.empty(others, weight.rows());
  auto best = rig.backend->allocate(std::size_t{rows} * Backend::kMostBest * sizeof(Scored));
  rig.backend->prepare(*rig.stream, in.ref, prepared.ref);
  rig.backend->linear_best(*rig.stream, prepared.ref, weight, cap, wanted.ref, whole.ref, **best);
  std::vector<Scored> all(std::size_t{rows} * Backend::kMostBest);
  rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(all)), **best, 0);
  Kept kept;
  kept.whole = rig.read(whole);
  for (std::uint32_t row = 0; row < rows; ++row) {
    const auto from = all.begin() + row * Backend::kMostBest;
    kept.best.emplace_back(from, from + keep[row]);
  }
  return kept;
}

std::vector<Scored> sorted_best(const std::vector<float>& outputs, std::int32_t keep) {
  std::vector<Scored> all;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (!std::isnan(outputs[i])) all.push_back({outputs[i], static_cast<std::int32_t>(i)});
  std::sort(all.begin(), all.end(), [](const Scored& a, const Scored& b) { return a.value != b.value ? a.value > b.value : a.id < b.id; });
  all.resize(static_cast<std::size_t>(keep));
  return all;
}

void expect_as_linear(Rig& rig, const std::vector<float>& x, const Weight& weight, float cap, const std::vector<std::int32_t>& keep,
                      const std::string& what) {
  const auto rows = static_cast<std::uint32_t>(keep.size());
  Held in = rig.floats(rows, weight.cols(), x), prepared = rig.activation(rows, weight.cols()), out = rig.empty(rows, weight.rows());
  rig.backend->prepare(*rig.stream, in.ref, prepared.ref);
  rig.backend->linear(*rig.stream, prepared.ref, weight, nullptr, out.ref);
  if (cap > 0) rig.backend->softcap(*rig.stream, out.ref, cap);
  const std::vector<float> outputs = rig.read(out);
  const Kept kept = keep_best(rig, x, weight, cap, keep);
  std::size_t whole = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::vector<float> own = row_of(outputs, row, weight.rows());
    if (keep[row] == 0) {
      EXPECT_TRUE(same_bits(row_of(kept.whole, whole++, weight.rows()), own)) << what << ", row " << row;
      continue;
    }
    const std::vector<Scored> expected = sorted_best(own, keep[row]);
    EXPECT_EQ(0, std::memcmp(kept.best[row].data(), expected.data(), expected.size() * sizeof(Scored))) << what << ", row " << row;
  }
}

TEST(BestOutputs, AreThoseOfTheWholeRowsOnEveryMachine) {
  constexpr std::uint32_t kN = 5003, kK = 256;
  const std::vector<std::vector<std::int32_t>> keeps = {{1}, {128}, {40, 0, 1}, std::vector<std::int32_t>(33, 1), {0, 2, 128, 0, 7, 1, 20, 1, 1, 3}};
  for (const auto type : {gguf::TensorType::q4_1, gguf::TensorType::q8_0, gguf::TensorType::q6_k, gguf::TensorType::f16}) {
    const auto blocks = blocks_of(type, Numbers(3).many(std::size_t{kN} * kK));
    for (const Isa isa : supported_isas())
      for (const std::uint32_t threads : {1U, 3U}) {
        Rig rig(isa, threads);
        const auto weight = rig.matrix(type, kN, kK, blocks);
        for (const auto& keep : keeps)
          for (const float cap : {0.0F, 3.0F})
            expect_as_linear(rig, Numbers(5).many(keep.size() * kK), *weight, cap, keep,
                             "isa " + std::to_string(static_cast<int>(isa)) + ", " + std::to_string(threads) + " threads, cap " +
                                 std::to_string(cap));
      }
  }
}

// Weights of one column: the outputs are the weights themselves.
TEST(BestOutputs, TiesGoToTheLowerIdAndWhatIsNotANumberIsNeverKept) {
  constexpr std::uint32_t kN = 3000;
  std::vector<std::vector<float>> cases(5, std::vector<float>(kN, 0.0F));
  for (std::uint32_t i = 0; i < kN; ++i) {
    cases[1][i] = static_cast<float>(i % 7);                                      // many equal to the best
    cases[2][i] = i % 2 == 0 ? NAN : (i % 4 == 1 ? -0.0F : 0.0F);                 // zeros of both signs
    cases[3][i] = i == 1700 ? kInfinity : (i % 3 == 0 ? -kInfinity : -1.0F);
    cases[4][i] = i == 900 ? -kInfinity : NAN;                                    // fewer than are asked for
  }
  for (const Isa isa : supported_isas())
    for (const std::uint32_t threads : {1U, 2U}) {
      Rig rig(isa, threads, Numerics::reference);
      for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto weight = rig.matrix(gguf::TensorType::f32, kN, 1, blocks_of(gguf::TensorType::f32, cases[i]));
        expect_as_linear(rig, {1.0F, 1.0F, 1.0F, 1.0F}, *weight, 0.0F, {1, 100, 0, 128}, "case " + std::to_string(i));
      }
    }
}

TEST(BestOutputs, ASmallMatrixLeavesPlacesOpen) {
  Rig rig(Isa::automatic, 2);
  const auto weight = rig.matrix(gguf::TensorType::q8_0, 5, 32, blocks_of(gguf::TensorType::q8_0, Numbers(1).many(5 * 32)));
  const Kept kept = keep_best(rig, Numbers(2).many(32), *weight, 0.0F, {8});
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(kept.best[0][i].id >= 0, i < 5);
}

}  // namespace
}  // namespace troupe::backend::test
