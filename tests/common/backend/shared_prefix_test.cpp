// Shared prefixes attended once a batch [Juravsky et al. 2024, arXiv:2402.05099]: over random trees of page tables, the
// bits of separate attention; and the pages gone through, counted.
#include <algorithm>

#include "common/backend/cpu/attention_units.hpp"
#include "tests/common/backend/rig.hpp"

namespace troupe::backend::test {
namespace {

struct Shape {
  std::uint32_t heads;
  std::uint32_t kv_heads;
  std::uint32_t key_dim;
  std::uint32_t value_dim;
};
const std::vector<Shape> kShapes = {{9, 3, 64, 64}, {4, 1, 256, 256}, {3, 3, 32, 48}, {2, 2, 40, 24}, {10, 2, 16, 72}};
constexpr std::uint32_t kPages = 96;

/// Sequences whose tables branch off one another at random pages, with decode rows, chunks and draft trees.
class RandomTree {
 public:
  explicit RandomTree(std::uint64_t seed) : numbers_(seed) {
    const std::uint32_t sequences = 2 + numbers_.below(9);
    for (std::uint32_t i = 0; i < sequences; ++i) add_sequence();
  }
  AttentionBatch batch;

 private:
  /// The first pages of an earlier sequence, or none, then some of its own.
  void add_sequence() {
    std::vector<std::uint32_t> table;
    if (!tables_.empty() && numbers_.below(8) != 0) {
      const auto& from = tables_[numbers_.below(static_cast<std::uint32_t>(tables_.size()))];
      table.assign(from.begin(), from.begin() + numbers_.below(static_cast<std::uint32_t>(from.size()) + 1));
    }
    const auto shared = static_cast<std::uint32_t>(table.size());
    for (std::uint32_t own = 1 + numbers_.below(3); own > 0; --own) table.push_back(next_page_++ % kPages);
    const auto sequence = static_cast<std::uint32_t>(batch.table_begin.size());
    batch.table_begin.push_back(static_cast<std::uint32_t>(batch.tables.size()));
    batch.tables.insert(batch.tables.end(), table.begin(), table.end());
    const auto slots = static_cast<std::uint32_t>(table.size()) * kPageSlots;
    add_rows(sequence, shared * kPageSlots, slots);
    tables_.push_back(std::move(table));
  }

  void add_rows(std::uint32_t sequence, std::uint32_t shared, std::uint32_t slots) {
    switch (numbers_.below(4)) {
      case 0: {  // a chunk, which may begin in the middle of what is shared
        const std::uint32_t count = 1 + numbers_.below(40);
        const std::uint32_t first = numbers_.below(slots - count);
        for (std::uint32_t i = first; i < first + count; ++i) batch.rows.push_back({sequence, i + 1, 0, 0});
        return;
      }
      case 1: {  // a draft tree: each row sees some of the slots after the prefix, the first ones as if accepted
        const std::uint32_t prefix = shared + numbers_.below(slots - shared - 12);
        for (std::uint32_t row = 0; row < 5; ++row) {
          batch.rows.push_back({sequence, prefix, static_cast<std::uint32_t>(batch.extras.size()), 0});
          for (std::uint32_t node = 0; node < 12; ++node)
            if (node == row || numbers_.below(3) == 0) {
              batch.extras.push_back(prefix + node);
              ++batch.rows.back().extra_count;
            }
        }
        return;
      }
      default: batch.rows.push_back({sequence, 1 + numbers_.below(slots), 0, 0});
    }
  }

  Numbers numbers_;
  std::vector<std::vector<std::uint32_t>> tables_;
  std::uint32_t next_page_ = 0;
};

/// A cache full of numbers.
struct Filled {
  Filled(Rig& owner, const Shape& of) : rig(owner), shape(of) {
    layout = {.layers = 1, .kv_heads = shape.kv_heads, .key_dim = shape.key_dim, .value_dim = shape.value_dim,
              .dtype = rig.backend->kv_dtype(), .pages = kPages};
    buffer = std::move(rig.backend->allocate(layout.offset(1, 0)).value());
    Numbers numbers(77);
    for (std::uint32_t page = 0; page < kPages; ++page) {
      std::vector<std::int32_t> slots;
      for (std::uint32_t i = 0; i < kPageSlots; ++i) slots.push_back(static_cast<std::int32_t>(page * kPageSlots + i));
      const Held k = rig.floats(kPageSlots, shape.kv_heads * shape.key_dim,
                                numbers.many(std::size_t{kPageSlots} * shape.kv_heads * shape.key_dim, 2.0F));
      const Held v = rig.floats(kPageSlots, shape.kv_heads * shape.value_dim,
                                numbers.many(std::size_t{kPageSlots} * shape.kv_heads * shape.value_dim, 2.0F));
      rig.backend->kv_write(*rig.stream, layout, *buffer, 0, k.ref, v.ref, rig.ints(slots).ref);
    }
  }

  std::vector<float> attend(const AttentionBatch& batch, std::uint32_t window, float softcap = 0.0F) {
    const auto rows = static_cast<std::uint32_t>(batch.rows.size());
    const Held q = rig.floats(rows, shape.heads * shape.key_dim, Numbers(5).many(std::size_t{rows} * shape.heads * shape.key_dim));
    const Held out = rig.empty(rows, shape.heads * shape.value_dim);
    const auto plan = rig.backend->plan_attention(*rig.stream, batch);
    rig.backend->attention(*rig.stream, layout, *buffer, *plan,
                           {.layer = 0, .heads = shape.heads, .window = window, .scale = 0.125F, .softcap = softcap}, q.ref, out.ref);
    return rig.read(out);
  }

  Rig& rig;
  Shape shape;
  KvLayout layout;
  std::unique_ptr<Buffer> buffer;
};

AttentionBatch apart(AttentionBatch batch) {
  batch.share_prefixes = false;
  return batch;
}

TEST(SharedPrefix, ChangesNoBitOverRandomTreesWindowsAndDrafts) {
  for (const auto& [numerics, codec] : kModes)
    for (const Isa isa : supported_isas())
      for (const Shape& shape : kShapes) {
        Rig rig(isa, 1, numerics, codec);
        Filled cache(rig, shape);
        for (std::uint64_t seed = 0; seed < (isa == Isa::scalar ? 3U : 15U); ++seed) {
          const AttentionBatch batch = RandomTree(seed).batch;
          for (const std::uint32_t window : {0U, 1U, 64U, 100U}) {
            const float softcap = seed % 3 == 0 ? 20.0F : 0.0F;
            ASSERT_TRUE(same_bits(cache.attend(apart(batch), window, softcap), cache.attend(batch, window, softcap)))
                << rig.backend->info().name << " heads " << shape.heads << " seed " << seed << " window " << window;
          }
        }
      }
}

TEST(SharedPrefix, ChangesNoBitForAnyNumberOfThreadsAndEveryInstructionSet) {
  for (const Shape& shape : {kShapes[0], kShapes[1]})
    for (std::uint64_t seed = 20; seed < 24; ++seed) {
      const AttentionBatch batch = RandomTree(seed).batch;
      std::vector<float> first;
      for (const Isa isa : supported_isas())
        for (const std::uint32_t threads : {1U, 2U, 5U, 16U}) {
          if (isa == Isa::scalar && threads != 2) continue;
          Rig rig(isa, threads);
          Filled cache(rig, shape);
          const auto out = cache.attend(batch, 0);
          if (first.empty()) first = cache.attend(apart(batch), 0);
          ASSERT_TRUE(same_bits(first, out)) << rig.backend->info().name << " seed " << seed;
        }
    }
}

TEST(SharedPrefix, GivesARowTheBitsItHasAlone) {
  Rig rig(Isa::automatic, 2);
  Filled cache(rig, kShapes[0]);
  AttentionBatch batch;
  for (std::uint32_t i = 0; i < 40; ++i) {
    batch.table_begin.push_back(static_cast<std::uint32_t>(batch.tables.size()));
    for (const std::uint32_t page : {7U, 3U, 11U, 20U + i % 2, 30U + i}) batch.tables.push_back(page);
    batch.rows.push_back({i, 4 * kPageSlots + 1 + i, 0, 0});
  }
  const auto together = cache.attend(batch, 0);
  for (const std::uint32_t row : {0U, 17U, 39U}) {
    AttentionBatch alone = batch;
    // The query of a row depends on its place: the others leave, the place stays.
    for (std::uint32_t i = 0; i < 40; ++i)
      if (i != row) alone.rows[i] = {i, 1, 0, 0};
    ASSERT_TRUE(same_bits(row_of(cache.attend(apart(alone), 0), row, 576), row_of(together, row, 576)));
  }
}

/// Pages gone through for one layer, all threads together.
std::uint64_t page_visits(const AttentionBatch& batch, const Shape& shape, std::uint32_t threads, std::uint32_t window = 0) {
  const cpu::CpuAttentionPlan plan(batch);
  const KvLayout layout{.layers = 1, .kv_heads = shape.kv_heads, .key_dim = shape.key_dim, .value_dim = shape.value_dim,
                        .dtype = DType::f16, .pages = kPages};
  const std::vector<std::byte> pages(layout.offset(1, 0));
  const std::vector<float> q(batch.rows.size() * shape.heads * shape.key_dim);
  std::vector<float> out(batch.rows.size() * shape.heads * shape.value_dim);
  cpu::ThreadPool pool(threads);
  std::vector<cpu::AttentionScratch> scratch(threads);
  std::vector<float> partials;
  cpu::run_attention({.kernels = &cpu::scalar_kernels(), .plan = &plan, .layout = layout,
                      .params = {.layer = 0, .heads = shape.heads, .window = window, .scale = 1.0F, .softcap = 0.0F},
                      .pages = pages.data(), .q = q.data(), .q_stride = std::size_t{shape.heads} * shape.key_dim,
                      .out = out.data(), .out_stride = std::size_t{shape.heads} * shape.value_dim},
                     pool, scratch, partials);
  std::uint64_t visits = 0;
  for (const cpu::AttentionScratch& one : scratch) visits += one.page_visits;
  return visits;
}

/// Two groups of sequences below one root: 5 pages of all, 3 of each group, one of each sequence.
AttentionBatch two_levels(std::uint32_t sequences) {
  AttentionBatch batch;
  for (std::uint32_t i = 0; i < sequences; ++i) {
    batch.table_begin.push_back(static_cast<std::uint32_t>(batch.tables.size()));
    for (std::uint32_t page = 0; page < 5; ++page) batch.tables.push_back(page);
    for (std::uint32_t page = 0; page < 3; ++page) batch.tables.push_back(10 + 10 * (i % 2) + page);
    batch.tables.push_back(40 + i);
    batch.rows.push_back({i, 8 * kPageSlots + 1 + i, 0, 0});
  }
  return batch;
}

TEST(SharedPrefix, GoesThroughASharedPageOnceALayerAndKvHead) {
  const Shape shape = kShapes[0];
  const AttentionBatch batch = two_levels(12);
  EXPECT_EQ(page_visits(batch, shape, 1), 3U * (5 + 2 * 3 + 12));
  EXPECT_EQ(page_visits(apart(batch), shape, 1), 3U * 12 * 9);
  // A window that reaches into the last page of the groups only.
  EXPECT_EQ(page_visits(batch, shape, 1, 64), 3U * (2 + 12));
}

TEST(SharedPrefix, CutsLargeGroupsAndSharesThemAmongThreads) {
  const Shape shape = kShapes[0];
  const AttentionBatch batch = two_levels(32);
  EXPECT_EQ(page_visits(batch, shape, 1), 3U * (5 + 2 * 3 + 32));
  // For two threads: both halves of 16 sequences are of one group.
  EXPECT_EQ(page_visits(batch, shape, 2), 3U * (2 * 5 + 2 * 3 + 32));
  // For many threads: pages are dealt out, and none is gone through twice that was not before.
  EXPECT_LE(page_visits(batch, shape, 16), 3U * (4 * (5 + 3) + 32));
}

TEST(SharedPrefix, LeavesAloneWhatARowDoesNotSeeAsItLies) {
  // The last page of the common part is not full for one of the rows, and the other one replaces slots of it.
  Rig rig(Isa::automatic, 1);
  Filled cache(rig, kShapes[0]);
  AttentionBatch batch;
  batch.tables = {1, 2, 3, 1, 2, 4};
  batch.table_begin = {0, 3};
  batch.extras = {100, 130};
  batch.rows = {{0, 100, 0, 0}, {1, 90, 0, 2}, {0, 180, 0, 0}, {1, 120, 0, 0}};
  EXPECT_TRUE(same_bits(cache.attend(apart(batch), 0), cache.attend(batch, 0)));
  const cpu::CpuAttentionPlan plan(batch);
  for (const auto& run : plan.runs) EXPECT_LE(run.shared, 1U);
}

}  // namespace
}  // namespace troupe::backend::test
