// 20,000 random operations under page pressure against the naive model; every invariant is recounted after
// each one.
#include <map>

#include "tests/common/kv/cache_model.hpp"

namespace troupe::kv_test {
namespace {

constexpr std::uint32_t kOperations = 20000;
constexpr std::uint32_t kPages = 24;
constexpr std::size_t kSequences = 10;
constexpr std::uint32_t kLongest = 400;

class RandomUse {
 public:
  RandomUse(std::uint32_t seed, bool prefix_cache) : cache(kPages, prefix_cache), random_(seed) {
    for (int document = 0; document < 3; ++document) {
      std::vector<TokenId> tokens;
      for (std::uint32_t i = 0; i < kLongest; ++i) tokens.push_back(static_cast<TokenId>(below(50000)));
      documents_.push_back(std::move(tokens));
    }
  }

  void step() {
    const std::uint32_t choice = below(100);
    if (cache.sequences.empty() || (choice < 15 && cache.sequences.size() < kSequences)) return start();
    Tracked& sequence =
        *std::next(cache.sequences.begin(), below(static_cast<std::uint32_t>(cache.sequences.size())));
    if (choice < 25) return reserve(sequence);
    if (choice < 50) return append(sequence);
    if (choice < 75) return compute(sequence);
    if (choice < 82) return fork(sequence);
    if (choice < 90) return truncate(sequence);
    if (choice < 92) return move(sequence);
    end(sequence);
  }

  void check() {
    ASSERT_NO_FATAL_FAILURE(cache.check_owners_and_states());
    ASSERT_NO_FATAL_FAILURE(cache.check_sequences());
    ASSERT_NO_FATAL_FAILURE(cache.check_events());
    ASSERT_NO_FATAL_FAILURE(cache.check_lookup(root_, prompt()));
    if (cache.sequences.empty()) return;
    ASSERT_NO_FATAL_FAILURE(cache.check_lookup(root_, cache.sequences.back().tokens));
    ASSERT_NO_FATAL_FAILURE(cache.check_lookup(root_, cache.sequences.front().tokens));
  }

  Cache cache;
  std::map<std::string, std::uint32_t> seen;

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }

  /// A prefix of a document, often with one token of it changed: prompts share beginnings of every length.
  std::vector<TokenId> prompt() {
    std::vector<TokenId> tokens = documents_[below(3)];
    tokens.resize(1 + below(kLongest - 1));
    if (below(2) == 0)
      tokens[below(static_cast<std::uint32_t>(tokens.size()))] = static_cast<TokenId>(below(2));
    return tokens;
  }

  void start() {
    Tracked& sequence =
        cache.sequences.emplace_back(Tracked{SequencePages(cache.pool, root_, kPolicy), {}, {}, {}, 0});
    const std::vector<TokenId> tokens = prompt();
    const std::uint32_t most = below(2) == 0 ? kLongest : below(kLongest);
    bool ok = true;
    const auto order = sequence.pages.adopt(tokens, most, ok);
    cache.copy(order);
    seen["partial hit"] += order.has_value() ? 1 : 0;
    seen["hit inside a block"] += sequence.pages.length() % kBlockTokens != 0 ? 1 : 0;
    seen["partial hit without a page"] += ok ? 0 : 1;
    ASSERT_LE(sequence.pages.length(), std::min<std::size_t>(tokens.size(), most));
    for (std::uint32_t i = 0; i < sequence.pages.length(); ++i) sequence.add(tokens[i]);
    sequence.computed = sequence.pages.length();
    if (below(4) != 0) grow(sequence, std::span(tokens).subspan(sequence.computed));
  }

  bool reserve_to(Tracked& sequence, std::uint32_t length) {
    const std::uint32_t needed = sequence.pages.pages_needed(length), before = cache.pool.available();
    const std::vector<std::uint32_t> pages = sequence.pages.pages();
    const bool done = sequence.pages.reserve(length).has_value();
    EXPECT_EQ(done, needed <= before);
    EXPECT_EQ(cache.pool.available(), done ? before - needed : before);
    if (!done) {
      EXPECT_EQ(sequence.pages.pages(), pages);
    }
    seen[done ? "reserved" : "out of pages"] += 1;
    return done;
  }

  void grow(Tracked& sequence, std::span<const TokenId> tokens) {
    const std::uint32_t end = sequence.pages.length() + static_cast<std::uint32_t>(tokens.size());
    if (sequence.pages.pages_needed(end) != 0 && !reserve_to(sequence, end)) return;
    const std::uint32_t before = cache.pool.available();
    const bool copies = !tokens.empty() && sequence.pages.needs_copy();
    const auto order = sequence.pages.append(tokens);
    ASSERT_EQ(order.has_value(), copies);
    ASSERT_GE(cache.pool.available(), before) << "append takes only what was reserved";
    cache.copy(order);
    seen["copy on write"] += copies ? 1 : 0;
    for (const TokenId token : tokens) sequence.add(token);
    if (below(2) == 0) cache.write(sequence, end);  // a draft: written, maybe never accepted
  }

  void reserve(Tracked& sequence) { (void)reserve_to(sequence, sequence.pages.length() + below(100)); }

  void append(Tracked& sequence) {
    std::vector<TokenId> tokens;
    const std::vector<TokenId>& document = documents_[below(3)];
    const std::uint32_t at = sequence.pages.length();
    for (std::uint32_t i = at; i < std::min(kLongest, at + 1 + below(80)); ++i) tokens.push_back(document[i]);
    grow(sequence, tokens);
  }

  void compute(Tracked& sequence) {
    const std::uint32_t left = sequence.pages.length() - sequence.computed;
    const std::uint32_t end = sequence.computed + (below(3) == 0 ? below(left + 1) : left);
    cache.write(sequence, end);
    sequence.pages.computed(end);
    sequence.computed = end;
  }

  void fork(Tracked& sequence) {
    if (cache.sequences.size() >= kSequences) return;
    cache.sequences.push_back(Tracked{sequence.pages.fork(), sequence.tokens, sequence.positions,
                                      sequence.contents, sequence.computed});
  }

  void truncate(Tracked& sequence) {
    const std::uint32_t length = sequence.pages.length();
    const std::uint32_t cut = below(2) == 0 ? length - std::min(length, below(20)) : below(length + 1);
    sequence.pages.truncate(cut);
    sequence.cut(cut);
  }

  void move(Tracked& sequence) {
    if (sequence.computed == sequence.pages.length()) return;
    const std::uint32_t index = sequence.computed + below(sequence.pages.length() - sequence.computed);
    const std::uint32_t page = sequence.pages.pages()[index / kPageTokens];
    if (cache.pool.refcount(page) != 1 || index % kPageTokens < cache.pool.frozen_slots(page)) return;
    sequence.pages.set_position(index, index + 1000);
    sequence.move(index, index + 1000);
    seen["moved"] += 1;
  }

  void end(Tracked& sequence) {
    if (below(2) == 0) sequence.pages.release();  // else the destructor does it
    std::erase_if(cache.sequences, [&](const Tracked& each) { return &each == &sequence; });
  }

  const BlockKey root_ = root_key(ModelId{3, 4}, "tenant");
  std::mt19937 random_;
  std::vector<std::vector<TokenId>> documents_;
};

TEST(KvProperty, EverySequenceReadsItsOwnTokensThroughRandomUse) {
  RandomUse use(20240611, true);
  for (std::uint32_t i = 0; i < kOperations; ++i) {
    use.step();
    ASSERT_NO_FATAL_FAILURE(use.check()) << "operation " << i;
    ASSERT_FALSE(testing::Test::HasFailure()) << "operation " << i;
  }
  for (const char* event :
       {"partial hit", "hit inside a block", "partial hit without a page", "reserved", "out of pages", "copy on write", "moved"}) {
    EXPECT_GT(use.seen[event], 20U) << event << ": the walk did not get there";
  }
  EXPECT_GT(use.cache.hit_tokens, 100000U);
  use.cache.sequences.clear();
  EXPECT_EQ(use.cache.pool.referenced(), 0U);
  use.check();
}

TEST(KvProperty, TheSameHoldsWithoutPrefixCache) {
  RandomUse use(77, false);
  for (std::uint32_t i = 0; i < kOperations; ++i) {
    use.step();
    ASSERT_NO_FATAL_FAILURE(use.check()) << "operation " << i;
    ASSERT_FALSE(testing::Test::HasFailure()) << "operation " << i;
  }
  EXPECT_EQ(use.cache.hit_tokens, 0U);
  EXPECT_GT(use.seen["copy on write"], 20U);
  use.cache.sequences.clear();
  EXPECT_EQ(use.cache.pool.free(), kPages);
}

}  // namespace
}  // namespace troupe::kv_test
