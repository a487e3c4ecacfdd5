// Attention over pages: against a plain softmax in double, and bit for bit between instruction sets, batches, chunks,
// threads and draft trees.
#include <algorithm>
#include <cmath>

#include "common/tensor/half.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

struct Shape {
  std::uint32_t heads;
  std::uint32_t kv_heads;
  std::uint32_t key_dim;
  std::uint32_t value_dim;
};
const std::vector<Shape> kShapes = {{9, 3, 64, 64}, {4, 1, 256, 256}, {32, 8, 64, 64}, {2, 2, 40, 24}, {6, 1, 16, 72}};

/// Keys and values of one sequence of `keys` tokens in shuffled pages of a cache that also holds rubbish.
struct Cache {
  Cache(Rig& owner, const Shape& of, std::uint32_t keys, std::uint64_t seed) : rig(owner), shape(of) {
    Numbers numbers(seed);
    const std::uint32_t pages = (keys + kPageSlots - 1) / kPageSlots;
    layout = {.layers = 2, .kv_heads = shape.kv_heads, .key_dim = shape.key_dim, .value_dim = shape.value_dim,
              .dtype = rig.backend->kv_dtype(), .pages = pages + 3};
    buffer = std::move(rig.backend->allocate(layout.offset(2, 0)).value());
    std::vector<std::uint8_t> rubbish(layout.offset(2, 0), 0x7f);  // NaN in either format
    rig.backend->upload(*rig.stream, *buffer, 0, std::as_bytes(std::span(rubbish)));
    for (std::uint32_t p = 0; p < pages; ++p) table.push_back((p * 5 + 2) % (pages + 3) == 0 ? pages + 2 : p + 1);
    std::reverse(table.begin(), table.end());
    k = numbers.many(std::size_t{keys} * shape.kv_heads * shape.key_dim, 2.0F);
    v = numbers.many(std::size_t{keys} * shape.kv_heads * shape.value_dim, 2.0F);
    std::vector<std::uint32_t> all(keys);
    for (std::uint32_t i = 0; i < keys; ++i) all[i] = i;
    write(all, all);
  }

  /// Stores tokens `from` at logical indices `to`.
  void write(const std::vector<std::uint32_t>& from, const std::vector<std::uint32_t>& to) {
    std::vector<std::int32_t> slots;
    std::vector<float> some_k;
    std::vector<float> some_v;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const auto key = row_of(k, from[i], shape.kv_heads * shape.key_dim);
      const auto value = row_of(v, from[i], shape.kv_heads * shape.value_dim);
      some_k.insert(some_k.end(), key.begin(), key.end());
      some_v.insert(some_v.end(), value.begin(), value.end());
      slots.push_back(static_cast<std::int32_t>(table[to[i] / kPageSlots] * kPageSlots + to[i] % kPageSlots));
    }
    const auto rows = static_cast<std::uint32_t>(from.size());
    const Held key = rig.floats(rows, shape.kv_heads * shape.key_dim, some_k);
    const Held value = rig.floats(rows, shape.kv_heads * shape.value_dim, some_v);
    const Held slot = rig.ints(slots);
    rig.backend->kv_write(*rig.stream, layout, *buffer, 1, key.ref, value.ref, slot.ref);
  }

  std::vector<float> attend(const AttentionBatch& batch, const std::vector<float>& q, std::uint32_t window = 0,
                            float softcap = 0.0F) {
    const auto rows = static_cast<std::uint32_t>(batch.rows.size());
    const Held query = rig.floats(rows, shape.heads * shape.key_dim, q);
    const Held out = rig.empty(rows, shape.heads * shape.value_dim);
    const auto plan = rig.backend->plan_attention(*rig.stream, batch);
    rig.backend->attention(*rig.stream, layout, *buffer, *plan,
                           {.layer = 1, .heads = shape.heads, .window = window, .scale = 0.125F, .softcap = softcap},
                           query.ref, out.ref);
    return rig.read(out);
  }

  [[nodiscard]] AttentionBatch causal(std::uint32_t first, std::uint32_t count) const {
    AttentionBatch batch;
    for (std::uint32_t i = 0; i < count; ++i) batch.rows.push_back({0, first + i + 1, 0, 0});
    batch.table_begin = {0};
    batch.tables = table;
    return batch;
  }

  Rig& rig;
  Shape shape;
  KvLayout layout;
  std::unique_ptr<Buffer> buffer;
  std::vector<std::uint32_t> table;
  std::vector<float> k;
  std::vector<float> v;
};

/// One row by the textbook, over tokens `keys`.
std::vector<double> textbook(const Cache& cache, const std::vector<float>& q, const std::vector<std::uint32_t>& keys, float softcap) {
  const Shape& s = cache.shape;
  std::vector<double> out;
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    const std::uint32_t g = h / (s.heads / s.kv_heads);
    std::vector<double> weights;
    for (const std::uint32_t key : keys) {
      double dot = 0.0;
      for (std::uint32_t c = 0; c < s.key_dim; ++c)
        dot += static_cast<double>(q[h * s.key_dim + c]) *
               static_cast<double>(cache.k[(std::size_t{key} * s.kv_heads + g) * s.key_dim + c]);
      dot *= 0.125;
      if (softcap != 0.0F) dot = static_cast<double>(softcap) * std::tanh(dot / static_cast<double>(softcap));
      weights.push_back(dot);
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double total = 0.0;
    for (double& weight : weights) total += weight = std::exp(weight - largest);
    for (std::uint32_t c = 0; c < s.value_dim; ++c) {
      double sum = 0.0;
      for (std::size_t i = 0; i < keys.size(); ++i)
        sum += weights[i] * static_cast<double>(cache.v[(std::size_t{keys[i]} * s.kv_heads + g) * s.value_dim + c]);
      out.push_back(sum / total);
    }
  }
  return out;
}

std::vector<std::uint32_t> range(std::uint32_t begin, std::uint32_t end) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = begin; i < end; ++i) all.push_back(i);
  return all;
}

TEST(Attention, AgreesWithSoftmaxInDoubleWithAndWithoutWindows) {
  for (const auto& [numerics, codec] : kModes)
    for (const Shape& shape : kShapes) {
      Rig rig(Isa::automatic, 2, numerics, codec);
      constexpr std::uint32_t kKeys = 200;
      Cache cache(rig, shape, kKeys, 1);
      const auto q = Numbers(2).many(std::size_t{kKeys} * shape.heads * shape.key_dim);
      for (const std::uint32_t window : {0U, 1U, 63U, 64U, 100U})
        for (const float softcap : {0.0F, 0.5F}) {
          const auto out = cache.attend(cache.causal(0, kKeys), q, window, softcap);
          for (std::uint32_t row = 0; row < kKeys; row += 13) {
            const std::uint32_t first = window != 0 && row + 1 > window ? row + 1 - window : 0;
            const auto expected = textbook(cache, row_of(q, row, shape.heads * shape.key_dim), range(first, row + 1), softcap);
            for (std::size_t i = 0; i < expected.size(); ++i)
              ASSERT_NEAR(out[row * expected.size() + i], expected[i], numerics == Numerics::reference ? 4e-6 : codec == KvCodec::int8 ? 2e-2 : 3e-3)
                  << "row " << row << " window " << window << " heads " << shape.heads;
          }
        }
    }
}

TEST(Attention, GivesTheSameBitsOnEveryInstructionSet) {
  constexpr std::uint32_t kKeys = 100;  // scalar code under a sanitizer takes most of the suite's time
  for (const auto& [numerics, codec] : kModes)
    for (const Shape& shape : kShapes)
      for (const std::uint32_t window : {0U, 70U}) {
        const auto q = Numbers(3).many(std::size_t{kKeys} * shape.heads * shape.key_dim);
        std::vector<float> first;
        for (const Isa isa : supported_isas()) {
          Rig rig(isa, 1, numerics, codec);
          Cache cache(rig, shape, kKeys, 4);
          const auto out = cache.attend(cache.causal(0, kKeys), q, window, 20.0F);
          if (first.empty()) first = out;
          ASSERT_TRUE(same_bits(first, out)) << rig.backend->info().name << " heads " << shape.heads;
        }
      }
}

TEST(Attention, GivesARowTheSameBitsAloneInChunksAndForEveryThreadCount) {
  for (const KvCodec codec : {KvCodec::f16, KvCodec::int8})
    for (const Isa isa : supported_isas())
      for (const Shape& shape : kShapes) {
        if (isa == Isa::scalar && shape.heads != 9) continue;
        constexpr std::uint32_t kKeys = 200;  // four pages, two of them cut by the window, the last one short
        const std::uint32_t width = shape.heads * shape.key_dim;
        const auto q = Numbers(5).many(std::size_t{kKeys} * width);
        std::vector<float> whole;
        for (const std::uint32_t threads : {1U, 3U}) {
          Rig rig(isa, threads, Numerics::fast, codec);
          Cache cache(rig, shape, kKeys, 6);
          const auto out = cache.attend(cache.causal(0, kKeys), q, 100);
          if (whole.empty()) whole = out;
          ASSERT_TRUE(same_bits(whole, out));
          for (const std::uint32_t chunk : {1U, 7U, 64U}) {
            std::vector<float> pieces;
            for (std::uint32_t at = 0; at < kKeys; at += chunk) {
              const std::uint32_t count = std::min(chunk, kKeys - at);
              const auto piece = cache.attend(cache.causal(at, count), {q.begin() + at * width, q.begin() + (at + count) * width}, 100);
              pieces.insert(pieces.end(), piece.begin(), piece.end());
            }
            ASSERT_TRUE(same_bits(whole, pieces)) << "chunk " << chunk << " threads " << threads;
          }
        }
      }
}

TEST(Attention, GivesLongContextsTheSameBitsHoweverTheyAreCut) {
  // Few rows over many keys: with several threads the splits of one row are computed apart and merged.
  const Shape shape = kShapes[0];
  const auto q = Numbers(7).many(std::size_t{2} * 9 * 64);
  std::vector<float> first;
  for (const std::uint32_t threads : {1U, 2U, 4U}) {
    Rig rig(Isa::automatic, threads);
    Cache cache(rig, shape, 3000, 8);
    for (const std::uint32_t window : {0U, 1000U}) {
      const auto out = cache.attend(cache.causal(2990, 2), q, window);
      if (window == 0 && first.empty()) first = out;
      if (window == 0) {
        ASSERT_TRUE(same_bits(first, out));
      } else {
        const auto expected = textbook(cache, row_of(q, 1, 9 * 64), range(2992 - window, 2992), 0.0F);
        for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(out[9 * 64 + i], expected[i], 3e-3);
      }
    }
  }
}

/// A draft tree after `prefix` keys: tokens in slots after the prefix, each row seeing its own path.
TEST(Attention, GivesDraftRowsTheBitsOfTheSameKeysStoredContiguously) {
  for (const auto& [numerics, codec] : kModes)
    for (const Isa isa : supported_isas())
      for (const Shape& shape : {kShapes[0], kShapes[3]})
        for (const std::uint32_t prefix : {0U, 5U, 60U, 64U, 126U})
          for (const std::uint32_t window : {0U, 30U, 66U}) {
            const std::vector<std::vector<std::uint32_t>> paths = {{0}, {1}, {0, 2}, {0, 3}, {1, 4}, {0, 3, 5}, {1, 4, 7, 9}};
            constexpr std::uint32_t kDrafts = 10;
            Rig rig(isa, 2, numerics, codec);
            Cache tree(rig, shape, prefix + kDrafts, 9);
            const std::uint32_t width = shape.heads * shape.key_dim;
            const auto q = Numbers(10).many(paths.size() * width);
            AttentionBatch batch = tree.causal(0, 0);
            for (const auto& path : paths) {
              batch.rows.push_back({0, prefix, static_cast<std::uint32_t>(batch.extras.size()),
                                    static_cast<std::uint32_t>(path.size())});
              for (const std::uint32_t node : path) batch.extras.push_back(prefix + node);
            }
            const auto out = tree.attend(batch, q, window);
            for (std::size_t i = 0; i < paths.size(); ++i) {
              Cache line(rig, shape, prefix + kDrafts, 9);
              std::vector<std::uint32_t> from;
              for (const std::uint32_t node : paths[i]) from.push_back(prefix + node);
              const auto length = static_cast<std::uint32_t>(from.size());
              line.write(from, range(prefix, prefix + length));
              const auto plain = line.attend(line.causal(prefix + length - 1, 1), row_of(q, i, width), window);
              ASSERT_TRUE(same_bits(plain, row_of(out, i, shape.heads * shape.value_dim)))
                  << "path " << i << " prefix " << prefix << " window " << window;
            }
          }
}

TEST(Attention, KeepsSequencesOfOneBatchApart) {
  const Shape shape = kShapes[0];
  Rig rig(Isa::automatic, 2);
  Cache cache(rig, shape, 200, 11);
  const std::uint32_t width = 9 * 64;
  const auto q = Numbers(12).many(std::size_t{4} * width);
  AttentionBatch batch;
  batch.tables = {cache.table[1], cache.table[0], cache.table[1], cache.table[2]};
  batch.table_begin = {0, 1};
  batch.rows = {{1, 150, 0, 0}, {0, 20, 0, 0}, {1, 10, 0, 0}, {0, 64, 0, 0}};
  const auto out = cache.attend(batch, q);
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    AttentionBatch alone = batch;
    alone.rows = {batch.rows[i]};
    ASSERT_TRUE(same_bits(cache.attend(alone, row_of(q, i, width)), row_of(out, i, width)));
  }
  const auto other = textbook(cache, row_of(q, 1, width), range(64, 84), 0.0F);
  for (std::size_t i = 0; i < other.size(); ++i) ASSERT_NEAR(out[width + i], other[i], 3e-3);
}

std::vector<std::uint8_t> bytes_of(const Cache& cache) {
  std::vector<std::uint8_t> bytes(cache.buffer->bytes());
  cache.rig.backend->download(*cache.rig.stream, std::as_writable_bytes(std::span(bytes)), *cache.buffer, 0);
  return bytes;
}

/// A stored value times its scale, of head `g`.
float stored(const Cache& cache, const std::vector<std::uint8_t>& bytes, std::uint32_t token, std::uint32_t g, std::uint32_t c,
             bool key) {
  const KvLayout& l = cache.layout;
  const std::uint32_t slot = token % kPageSlots;
  const std::uint8_t* page = bytes.data() + l.offset(1, cache.table[token / kPageSlots]);
  const std::size_t keys = std::size_t{l.kv_heads} * l.key_dim * kPageSlots;
  const std::size_t code = key ? (std::size_t{g} * l.key_dim + c) * kPageSlots + slot
                               : keys + (std::size_t{g} * kPageSlots + slot) * l.value_dim + c;
  const std::size_t at = keys + std::size_t{l.kv_heads} * l.value_dim * kPageSlots;  // scales: K of every head, then V
  std::uint16_t scale = 0;
  std::memcpy(&scale, page + at + 2 * ((key ? g : l.kv_heads + g) * std::size_t{kPageSlots} + slot), 2);
  return half_to_float(scale) * static_cast<float>(static_cast<std::int8_t>(page[code]));
}

TEST(Int8Pages, HoldEachTokenWithinHalfAStepOfItsLargestValue) {
  for (const Isa isa : supported_isas())
    for (const Shape& shape : kShapes) {
      Rig rig(isa, 2, Numerics::fast, KvCodec::int8);
      Cache cache(rig, shape, 150, 21);
      const std::vector<std::uint8_t> bytes = bytes_of(cache);
      for (std::uint32_t token = 0; token < 150; ++token)
        for (std::uint32_t g = 0; g < shape.kv_heads; ++g)
          for (const bool key : {true, false}) {
            const std::uint32_t dim = key ? shape.key_dim : shape.value_dim;
            const float* x = (key ? cache.k : cache.v).data() + (std::size_t{token} * shape.kv_heads + g) * dim;
            float largest = 0.0F;
            for (std::uint32_t c = 0; c < dim; ++c) largest = std::max(largest, std::fabs(x[c]));
            for (std::uint32_t c = 0; c < dim; ++c)  // and an eleventh bit of the scale itself
              ASSERT_NEAR(stored(cache, bytes, token, g, c, key), x[c], largest * (0.5F / 127 + 1.1F / 2048)) << token << " " << c;
          }
    }
}

TEST(Int8Pages, TakeHalfTheBytesAndAreEqualHoweverTheyAreWritten) {
  const Shape shape = kShapes[0];
  std::vector<std::uint8_t> first;
  for (const Isa isa : supported_isas())
    for (const std::uint32_t chunk : {1U, 7U, 150U}) {
      Rig rig(isa, 3, Numerics::fast, KvCodec::int8);
      Cache cache(rig, shape, 150, 22);
      KvLayout halves = cache.layout;
      halves.dtype = DType::f16;
      EXPECT_LT(static_cast<double>(cache.layout.layer_page_bytes()), 0.52 * static_cast<double>(halves.layer_page_bytes()));
      const std::vector<std::uint8_t> rubbish(cache.buffer->bytes(), 0x7f);
      rig.backend->upload(*rig.stream, *cache.buffer, 0, std::as_bytes(std::span(rubbish)));
      for (std::uint32_t at = 0; at < 150; at += chunk) {
        const auto some = range(at, std::min(at + chunk, 150U));
        cache.write(some, some);
      }
      const auto bytes = bytes_of(cache);
      if (first.empty()) first = bytes;
      EXPECT_TRUE(first == bytes) << rig.backend->info().name << ", " << chunk << " at a time";
    }
}

TEST(Int8Pages, SurviveZerosAndWhatIsNoNumber) {
  for (const Isa isa : supported_isas()) {
    Rig rig(isa, 1, Numerics::fast, KvCodec::int8);
    Cache cache(rig, kShapes[3], 3, 23);
    const float inf = std::numeric_limits<float>::infinity();
    std::fill(cache.k.begin(), cache.k.begin() + 40, 0.0F);
    cache.v[0] = inf, cache.v[1] = -inf, cache.v[2] = std::nanf(""), cache.v[3] = 1e30F;
    cache.write({0, 1, 2}, {0, 1, 2});
    const auto bytes = bytes_of(cache);
    EXPECT_EQ(stored(cache, bytes, 0, 0, 5, true), 0.0F);
    EXPECT_FALSE(std::isfinite(stored(cache, bytes, 0, 0, 3, false))) << "no scale holds it";
    EXPECT_NEAR(stored(cache, bytes, 1, 1, 3, false), cache.v[(1 * 2 + 1) * 24 + 3], 0.01F) << "other tokens are untouched";
  }
}

TEST(KvMove, MovesASlotOfEveryLayer) {
  for (const auto& [numerics, codec] : kModes) {
    const Shape shape = kShapes[3];
    Rig rig(Isa::automatic, 1, numerics, codec);
    Cache cache(rig, shape, 130, 13);
    const auto q = Numbers(14).many(std::size_t{2} * 40);
    const auto slot = [&](std::uint32_t i) { return cache.table[i / kPageSlots] * kPageSlots + i % kPageSlots; };
    Cache expected(rig, shape, 130, 13);
    expected.write({129}, {60});
    rig.backend->kv_move(*rig.stream, cache.layout, *cache.buffer, slot(129), slot(60));
    EXPECT_TRUE(same_bits(expected.attend(expected.causal(100, 1), q), cache.attend(cache.causal(100, 1), q)));
  }
}

}  // namespace
}  // namespace troupe::backend::test
