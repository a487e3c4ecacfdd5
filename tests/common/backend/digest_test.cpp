// One committed digest per op over seeded inputs. Every machine that runs this compares itself, instruction set by
// instruction set, with every other machine that ever did. After a wanted change of the arithmetic (which also needs a new
// numerics id), run with TROUPE_WRITE_DIGESTS=1 to write tests/golden/op_digests.txt anew.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "common/backend/cpu/activation.hpp"
#include "common/backend/cpu/cpu_info.hpp"
#include "common/backend/cpu/kernels.hpp"
#include "common/base/hash.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

constexpr const char* kGolden = "tests/golden/op_digests.txt";

std::string hex(const std::vector<float>& values) {
  const Hash128 hash = xxh3_128(std::as_bytes(std::span(values)));
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

/// Weight blocks made of random bits, not by a quantiser: scales are halves of ordinary size.
std::vector<std::byte> random_blocks(gguf::TensorType type, std::size_t elements, std::uint64_t seed) {
  using enum gguf::TensorType;
  Numbers numbers(seed);
  const auto& info = *gguf::tensor_type_info(static_cast<std::uint32_t>(type));
  std::vector<std::byte> blocks(elements / info.block_elements * info.block_bytes);
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(numbers.below(256));
  std::vector<std::size_t> halves;  // offsets of the scales in a block
  switch (type) {
    case f32:
      for (std::size_t i = 3; i < blocks.size(); i += 4) blocks[i] = static_cast<std::byte>(0x3e | (numbers.below(2) << 7));
      return blocks;
    case bf16:
      for (std::size_t i = 1; i < blocks.size(); i += 2) blocks[i] = static_cast<std::byte>(0x3e | (numbers.below(2) << 7));
      return blocks;
    case f16: halves = {0}; break;
    case q4_0: case q5_0: case q8_0: halves = {0}; break;
    case q4_1: case q5_1: case q4_k: case q5_k: halves = {0, 2}; break;
    case q2_k: halves = {80, 82}; break;
    case q3_k: halves = {108}; break;
    case q6_k: halves = {208}; break;
  }
  for (std::size_t block = 0; block < blocks.size(); block += info.block_bytes)
    for (const std::size_t at : halves) blocks[block + at + 1] = static_cast<std::byte>(0x20 | numbers.below(8));
  return blocks;
}

using Results = std::map<std::string, std::vector<float>>;

void linear_results(Rig& rig, const std::string& mode, Results& results) {
  for (const gguf::TensorType type : all_types()) {
    const std::string name(gguf::tensor_type_info(static_cast<std::uint32_t>(type))->name);
    const auto matrix = rig.matrix(type, 45, 768, random_blocks(type, std::size_t{45} * 768, 1));
    const auto x = Numbers(2).many(5 * 768, 3.0F);
    results["linear " + name + " " + mode] = rig.linear(x, 5, *matrix);
  }
}

void best_results(Rig& rig, Results& results) {
  const auto matrix = rig.matrix(gguf::TensorType::q8_0, 700, 768, random_blocks(gguf::TensorType::q8_0, std::size_t{700} * 768, 9));
  Held x = rig.floats(3, 768, Numbers(2).many(3 * 768, 3.0F)), prepared = rig.activation(3, 768), whole = rig.empty(1, 700);
  Held keep = rig.ints({1, 0, 50});
  const auto best = std::move(rig.backend->allocate(3 * Backend::kMostBest * sizeof(Scored)).value());
  rig.backend->prepare(*rig.stream, x.ref, prepared.ref);
  rig.backend->linear_best(*rig.stream, prepared.ref, *matrix, 5.0F, keep.ref, whole.ref, *best);
  std::vector<Scored> kept(3 * Backend::kMostBest);
  rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(kept)), *best, 0);
  std::vector<float>& values = results["linear_best"] = rig.read(whole);
  for (const std::size_t row : {0U, 2U})
    for (std::size_t i = 0; i < (row == 0 ? 1U : 50U); ++i) {
      values.push_back(kept[row * Backend::kMostBest + i].value);
      values.push_back(static_cast<float>(kept[row * Backend::kMostBest + i].id));
    }
}

void attention_results(Rig& rig, const std::string& mode, Results& results) {
  const KvLayout layout{.layers = 1, .kv_heads = 3, .key_dim = 64, .value_dim = 64,
                        .dtype = rig.backend->kv_dtype(), .pages = 4};
  const auto kv = std::move(rig.backend->allocate(layout.offset(1, 0)).value());
  Held k = rig.floats(200, 192, Numbers(3).many(200 * 192, 2.0F));
  Held v = rig.floats(200, 192, Numbers(4).many(200 * 192, 2.0F));
  std::vector<std::int32_t> slots;
  for (int i = 0; i < 200; ++i) slots.push_back(i);
  Held slot = rig.ints(slots);
  rig.backend->kv_write(*rig.stream, layout, *kv, 0, k.ref, v.ref, slot.ref);
  AttentionBatch batch;
  batch.table_begin = {0};
  batch.tables = {0, 1, 2, 3};
  batch.extras = {190, 192, 195};
  batch.rows = {{0, 1, 0, 0}, {0, 64, 0, 0}, {0, 130, 0, 0}, {0, 190, 0, 3}, {0, 200, 0, 0}};
  Held q = rig.floats(5, 576, Numbers(5).many(5 * 576, 2.0F));
  Held out = rig.empty(5, 576);
  const auto plan = rig.backend->plan_attention(*rig.stream, batch);
  for (const std::uint32_t window : {0U, 50U}) {
    rig.backend->attention(*rig.stream, layout, *kv, *plan,
                           {.layer = 0, .heads = 9, .window = window, .scale = 0.125F, .softcap = window == 0 ? 0.0F : 5.0F},
                           q.ref, out.ref);
    results["attention window " + std::to_string(window) + " " + mode] = rig.read(out);
  }
}

void row_results(Rig& rig, Results& results) {
  const auto x = Numbers(6).many(7 * 580, 5.0F);
  Held in = rig.floats(7, 580, x);
  Held out = rig.empty(7, 580);
  const auto norm = rig.vector(Numbers(7).many(580));
  rig.backend->rms_norm(*rig.stream, in.ref, *norm, 1e-5F, out.ref);
  results["rms_norm"] = rig.read(out);
  for (const auto& [name, activation] : {std::pair{"silu", Activation::silu}, std::pair{"gelu_tanh", Activation::gelu_tanh}}) {
    rig.backend->gated(*rig.stream, activation, in.ref, in.ref, out.ref);
    results[std::string("gated ") + name] = rig.read(out);
  }
  rig.backend->add(*rig.stream, in.ref, out.ref, out.ref);
  rig.backend->softcap(*rig.stream, out.ref, 30.0F);
  results["add, softcap"] = rig.read(out);
  Held positions = rig.ints({0, 1, 17, 511, 4095, 8191, 131071});
  Held table = rig.empty(7, 58);
  rig.backend->rope_table(*rig.stream, {.dims = 58, .base = 100000.0, .scale = 0.25, .freq_factors = {}}, positions.ref, table.ref);
  results["rope_table"] = rig.read(table);
  for (const auto& [name, style] : {std::pair{"adjacent", RopeStyle::adjacent}, std::pair{"half", RopeStyle::half}}) {
    Held rotated = rig.floats(7, 580, x);
    rig.backend->rope(*rig.stream, style, table.ref, 10, rotated.ref);
    results[std::string("rope ") + name] = rig.read(rotated);
  }
  const auto embedding = rig.matrix(gguf::TensorType::q4_1, 20, 64, random_blocks(gguf::TensorType::q4_1, 20 * 64, 8));
  Held ids = rig.ints({3, 19, 0});
  Held rows = rig.empty(3, 64);
  rig.backend->embed(*rig.stream, *embedding, ids.ref, 24.0F, rows.ref);
  results["embed"] = rig.read(rows);
  Held prepared = rig.activation(7, 580);
  rig.backend->prepare(*rig.stream, in.ref, prepared.ref);
  std::vector<float> bytes(7 * cpu::ActivationLayout{true, 580}.row_bytes() / 4);
  rig.backend->download(*rig.stream, std::as_writable_bytes(std::span(bytes)), *prepared.buffer, 0);
  results["prepare"] = bytes;
}

Results all_results(Isa isa) {
  Results results;
  Rig fast(isa, 2);
  row_results(fast, results);  // before any float matrix: the prepared bytes then hold codes only
  linear_results(fast, "fast", results);
  attention_results(fast, "fast", results);
  best_results(fast, results);
  Rig reference(isa, 2, Numerics::reference);
  linear_results(reference, "reference", results);
  attention_results(reference, "reference", results);
  Rig codes(isa, 2, Numerics::fast, KvCodec::int8);
  attention_results(codes, "int8", results);
  return results;
}

std::map<std::string, std::string> golden() {
  std::map<std::string, std::string> digests;
  std::ifstream file(kGolden);
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') digests[line.substr(33)] = line.substr(0, 32);
  return digests;
}

TEST(OpDigests, AreTheCommittedOnesOnEveryInstructionSet) {
  if (std::getenv("TROUPE_WRITE_DIGESTS") != nullptr) {
    std::ofstream file(kGolden);
    file << "# XXH3-128 of each op's output over seeded inputs (tests/common/backend/digest_test.cpp), numerics arith3.\n";
    for (const auto& [name, values] : all_results(Isa::scalar)) file << hex(values) << ' ' << name << '\n';
  }
  const auto expected = golden();
  for (const Isa isa : supported_isas()) {
    const Results results = all_results(isa);
    EXPECT_EQ(results.size(), expected.size());
    for (const auto& [name, values] : results) {
      const auto found = expected.find(name);
      ASSERT_NE(found, expected.end()) << name;
      EXPECT_EQ(hex(values), found->second) << name << " on " << isa_name(isa);
      for (const float value : values) ASSERT_FALSE(!name.starts_with("prepare") && value != value) << name << " holds NaN";
    }
  }
}

TEST(OpDigests, NoticeAnotherOrderOfOneReduction) {
  const auto x = Numbers(6).many(580, 5.0F);
  for (const Isa isa : supported_isas()) {
    const cpu::Kernels& kernels = cpu::kernels_for(isa);
    const float pinned = kernels.sum_of_squares(x.data(), 580, 16);
    // The same numbers in 8 lanes, or in a row: close, and not the same bits.
    for (const std::uint32_t lanes : {8U, 1U}) {
      const float other = kernels.sum_of_squares(x.data(), 580, lanes);
      EXPECT_NEAR(other, pinned, 1e-5F * pinned);
      EXPECT_NE(hex({other}), hex({pinned})) << lanes << " lanes on " << isa_name(isa);
    }
    EXPECT_EQ(hex({pinned}), hex({cpu::kernels_for(Isa::scalar).sum_of_squares(x.data(), 580, 16)}));
  }
}

}  // namespace
}  // namespace troupe::backend::test
