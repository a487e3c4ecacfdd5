// A step allocates nothing: the ops of a layer, once their working memory has grown, call no allocator.
#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/common/backend/rig.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

void* counted(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* at = std::malloc(bytes == 0 ? 1 : bytes)) return at;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& nothrow) noexcept { return operator new(bytes, nothrow); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }

namespace troupe::backend::test {
namespace {

/// One layer over `rows` rows of as many sequences, or of one.
class Layer {
 public:
  Layer(Rig& owner, std::uint32_t rows, bool prompt)
      : rig(owner), x(rig.floats(rows, kD, Numbers(1).many(std::size_t{rows} * kD))), q(rig.empty(rows, kD)), k(rig.empty(rows, kKv)),
        v(rig.empty(rows, kKv)),
        mixed(rig.empty(rows, kD)), small(rig.activation(rows, kD)),
        table(rig.empty(rows, 64)), whole(rig.empty(1, kD)) {
    const std::uint32_t pages = prompt ? (rows + 63) / 64 : 3 * rows;
    layout = {.layers = 1, .kv_heads = 1, .key_dim = 64, .value_dim = 64, .dtype = rig.backend->kv_dtype(), .pages = pages};
    kv = std::move(*rig.backend->allocate(layout.offset(1, 0)));
    AttentionBatch batch;
    std::vector<std::int32_t> slot, position;
    for (std::uint32_t page = 0; page < pages; ++page) batch.tables.push_back(page);
    for (std::uint32_t i = 0; i < rows; ++i) {
      const std::uint32_t at = prompt ? i : 140;
      if (i == 0 || !prompt) batch.table_begin.push_back(3 * i);
      batch.rows.push_back({prompt ? 0 : i, at + 1, 0, 0});
      slot.push_back(static_cast<std::int32_t>(prompt ? at : 3 * i * kPageSlots + at));
      position.push_back(static_cast<std::int32_t>(at));
    }
    slots = rig.ints(slot);
    positions = rig.ints(position);
    plan = rig.backend->plan_attention(*rig.stream, batch);
    const auto weights = blocks_of(gguf::TensorType::q8_0, Numbers(2).many(std::size_t{kD} * kD));
    square = rig.matrix(gguf::TensorType::q8_0, kD, kD, weights);
    narrow = rig.matrix(gguf::TensorType::q8_0, kKv, kD, std::vector(weights.begin(), weights.begin() + kKv * kD / 32 * 34));
    std::vector<std::int32_t> kept(rows, 1);
    kept[0] = 0;
    kept[1] = 40;
    keep = rig.ints(kept);
    best = std::move(*rig.backend->allocate(std::size_t{rows} * Backend::kMostBest * sizeof(Scored)));
    norm = rig.vector(std::vector<float>(kD, 1.0F));
  }

  void run() {
    Backend& b = *rig.backend;
    Stream& s = *rig.stream;
    b.norm_prepare(s, x.ref, *norm, 1e-5F, small.ref);
    const Product qkv[] = {{square.get(), nullptr, q.ref}, {narrow.get(), nullptr, k.ref}, {narrow.get(), nullptr, v.ref}};
    b.linear_group(s, small.ref, qkv);
    b.rope_write(s, RopeStyle::adjacent, table.ref, layout, *kv, 0, q.ref, k.ref, v.ref, slots.ref);
    b.attention(s, layout, *kv, *plan, {.layer = 0, .heads = 3, .window = 0, .scale = 0.125F, .softcap = 0.0F}, q.ref,
                mixed.ref);
    b.prepare(s, mixed.ref, small.ref);
    b.linear(s, small.ref, *square, nullptr, q.ref);
    b.gated_prepare(s, Activation::silu, q.ref, x.ref, small.ref);
    b.linear(s, small.ref, *square, nullptr, q.ref);
    b.add(s, x.ref, q.ref, x.ref);
    b.linear_best(s, small.ref, *square, 0.0F, keep.ref, whole.ref, *best);
    b.synchronize(s);
  }

 private:
  static constexpr std::uint32_t kD = 192, kKv = 64;
  Rig& rig;
  Held x, q, k, v, mixed, small, table, whole, slots, positions, keep;
  KvLayout layout;
  std::unique_ptr<Buffer> kv, best;
  std::unique_ptr<AttentionPlan> plan;
  std::unique_ptr<Weight> square, narrow, norm;
};

TEST(Allocation, ALayersOpsAllocateNothingOnceTheirMemoryHasGrown) {
  for (const Isa isa : supported_isas())
    for (const std::uint32_t threads : {1U, 2U})
      for (const bool prompt : {false, true}) {
        Rig rig(isa, threads, Numerics::fast, prompt == (threads == 1) ? KvCodec::int8 : KvCodec::f16);
        Layer layer(rig, prompt ? 96 : 24, prompt);
        ASSERT_GT(allocations.load(), 0U);  // they are seen
        // Which thread runs a unit is open, so each may still grow later: all of them grow within a few rounds.
        std::uint64_t least = UINT64_MAX;
        for (int round = 0; round < 50 && least > 0; ++round) {
          const std::uint64_t before = allocations.load();
          layer.run();
          least = std::min(least, allocations.load() - before);
        }
        EXPECT_EQ(least, 0U) << static_cast<int>(isa) << ", " << threads << " threads" << (prompt ? ", a prompt" : "");
      }
}

}  // namespace
}  // namespace troupe::backend::test
