// The longest end of the text so far that stood anywhere before, in prompt and answer or in the tenant's
// finished answers, and what followed it there [Hu et al. 2024, SAM Decoding, arXiv:2411.10666]. Departs from
// the paper: occurrences are recent ones where that is cheap to know, and the shared store is bounded by two
// generations of finished answers.
#include <algorithm>
#include <map>
#include <string>

#include "common/speculation/drafters/drafters.hpp"
#include "common/speculation/suffix_automaton.hpp"

namespace troupe::speculation {
namespace {

constexpr std::uint32_t kLeast = 2;        ///< tokens that must agree
constexpr std::size_t kStoreLooks = 32;    ///< tokens of a context that are looked for in the store
constexpr std::size_t kStoredPrompt = 16;  ///< tokens of a prompt that are stored before its answer
constexpr TokenId kEnd = -1;               ///< between stored texts; no context has it

/// A text and its automaton.
struct IndexedText {
  SuffixAutomaton automaton;
  std::vector<TokenId> tokens;
  void append(TokenId token) {
    automaton.append(token);
    tokens.push_back(token);
  }
};

/// Finished answers of one tenant: when the young half is full it becomes the old one, and the old one goes.
class Store {
 public:
  void add(std::span<const TokenId> text, std::uint32_t capacity) {
    if (young_.tokens.size() + text.size() > capacity / 2) {
      old_ = std::move(young_);
      young_ = {};
    }
    for (const TokenId token : text.first(std::min<std::size_t>(text.size(), capacity / 2)))
      young_.append(token);
    young_.append(kEnd);
  }
  struct Found {
    const IndexedText* text = nullptr;
    SuffixAutomaton::Match match;
  };
  [[nodiscard]] Found find(std::span<const TokenId> context) const {
    Found best;
    for (const IndexedText* text : {&young_, &old_}) {
      SuffixAutomaton::Match match;
      for (const TokenId token : context.last(std::min(context.size(), kStoreLooks)))
        match = text->automaton.step(match, token);
      if (match.length > best.match.length) best = {text, match};
    }
    return best;
  }
  std::uint64_t used = 0;

 private:
  IndexedText young_, old_;
};

class Suffixes final : public Drafter {
 public:
  explicit Suffixes(const DrafterOptions& options)
      : capacity_(options.store_tokens), most_tenants_(options.most_tenants) {}

  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    const Own& own = grown(context);
    DraftTree draft;
    Store::Found stored;
    if (const auto store = stores_.find(context.tenant); store != stores_.end()) {
      store->second.used = ++clock_;
      stored = store->second.find(context.tokens);
    }
    if (stored.match.length > own.match.length && stored.match.length >= kLeast) {
      const std::span<const TokenId> text(stored.text->tokens);
      const auto rest = text.subspan(stored.match.end + 1);
      const auto ends = std::find(rest.begin(), rest.end(), kEnd);
      DraftBudget bounded = budget;
      bounded.nodes = std::min(budget.nodes, static_cast<std::uint32_t>(ends - rest.begin()));
      copy_on(text, stored.match.end, stored.match.length, bounded, draft);
    } else if (own.match.length >= kLeast) {
      copy_on(context.tokens, own.match.end, own.match.length, budget, draft);
    }
    return draft;
  }

  void observe(const DraftContext& context, const Observation& observation) override {
    if (!observation.finished || capacity_ == 0) return;
    Store& store = store_of(context.tenant);
    store.add(context.tokens.subspan(context.prompt - std::min<std::size_t>(context.prompt, kStoredPrompt)),
              capacity_);
  }
  void fork(SequenceNumber from, SequenceNumber to) override {
    if (const auto found = own_.find(from); found != own_.end()) own_[to] = found->second;
  }
  void forget(SequenceNumber sequence) override { own_.erase(sequence); }

 private:
  struct Own {
    SuffixAutomaton automaton;
    SuffixAutomaton::Match match;  ///< of the whole context, in what stood before its last token
  };

  Own& grown(const DraftContext& context) {
    Own& own = own_[context.sequence];
    for (std::uint32_t i = own.automaton.size(); i < context.tokens.size(); ++i) {
      own.match = own.automaton.step(own.match, context.tokens[i]);  // before it is there itself
      own.automaton.append(context.tokens[i]);
    }
    return own;
  }
  Store& store_of(std::string_view tenant) {
    auto found = stores_.find(tenant);
    if (found == stores_.end()) {
      if (stores_.size() >= std::max(1u, most_tenants_))
        stores_.erase(std::min_element(stores_.begin(), stores_.end(), [](const auto& a, const auto& b) {
          return a.second.used < b.second.used;
        }));
      found = stores_.emplace(std::string(tenant), Store()).first;
    }
    found->second.used = ++clock_;
    return found->second;
  }

  const std::uint32_t capacity_, most_tenants_;
  std::map<SequenceNumber, Own> own_;
  std::map<std::string, Store, std::less<>> stores_;
  std::uint64_t clock_ = 0;
};

}  // namespace

std::unique_ptr<Drafter> make_suffix_automaton(const DrafterOptions& options) {
  return std::make_unique<Suffixes>(options);
}

}  // namespace troupe::speculation
