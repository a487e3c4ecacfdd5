// A draft model elsewhere writes on while the target verifies [PEARL, Liu et al. 2024, arXiv:2408.11850].
// What it wrote is a chain of guesses ahead of the verified text; each step takes what has come by then, and
// orders more behind what it takes, as if all of it came true (the paper's post-verify). While nothing is
// there the target decodes on and the first guesses to come are checked against what it drew meanwhile
// (pre-verify). Departs from the paper: nobody waits for the other side, so the draft's length is whatever
// the two speeds leave time for; how far the draft may run ahead follows how far guesses have held lately;
// draws decide, not two distributions, so that answers keep their bytes; runners-up ride along as siblings.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "common/speculation/drafters/drafters.hpp"

namespace troupe::speculation {
namespace {

constexpr std::uint32_t kLeastReach = 3, kMostReach = 32;  ///< tokens ahead of the verified text
constexpr std::uint32_t kPiece = 8;  ///< guesses of one order: the first of them must not wait for the last
constexpr double kMemory = 0.7;      ///< of how long runs of right guesses are
constexpr std::uint32_t kDry = 4;    ///< guesses that fail at once before orders become rarer
constexpr std::uint32_t kMostRest = 32;                        ///< proposals without an order then
constexpr std::uint32_t kRefusedRest = 16, kMostRefusals = 4;  ///< a rest doubles with each refusal in a row
constexpr std::uint32_t kPatience = 256;  ///< proposals after which an order's answer counts as lost
constexpr float kLeastSecond = 0.1F;      ///< runners-up below it never pay

/// What is known of one sequence.
struct Session {
  std::vector<Guess> ahead;   ///< of the tokens from index `at` of the text on
  std::uint32_t at = 0;       ///< the verified text's length, or where the order under way begins
  std::vector<TokenId> told;  ///< what the source holds if every message arrived
  std::uint32_t round = 0;
  bool under_way = false;
  std::uint32_t waited = 0;
  std::uint32_t rest = 0, refusals = 0;
  std::uint32_t run = 0, dry = 0;  ///< right guesses since the last wrong one; orders wrong from their start
  double mean_run = 2;

  [[nodiscard]] std::uint32_t end() const { return at + static_cast<std::uint32_t>(ahead.size()); }
  [[nodiscard]] std::uint32_t reach() const {
    const double lately = 2 + 1.5 * std::max(mean_run, static_cast<double>(run));
    return std::clamp(static_cast<std::uint32_t>(std::ceil(lately)), kLeastReach, kMostReach);
  }
  /// The text went another way than the guesses: they go, and so does what was ordered behind them.
  void missed() {
    dry = run == 0 ? dry + 1 : 0;
    mean_run = kMemory * mean_run + (1 - kMemory) * std::min(run, kMostReach);
    run = 0;
    ahead.clear();
    under_way = false;
    if (dry > kDry) rest = std::min(kMostRest, 1u << std::min(dry - kDry, 5u));
  }
};

class DraftServiceDrafter final : public Drafter {
 public:
  explicit DraftServiceDrafter(const DrafterOptions& options) : source_(options.source) {}

  DraftTree propose(const DraftContext& context, const DraftBudget& budget) override {
    if (source_ == nullptr) return {};
    Session& session = sessions_[context.sequence];
    collect(context, session);
    check(context, session);
    if (order(context, session)) {  // a source on this very thread has answered
      collect(context, session);
      check(context, session);
    }
    return session.at == context.tokens.size() ? tree_of(session, budget) : DraftTree{};
  }
  void observe(const DraftContext& context, const Observation& observation) override {
    if (observation.finished) forget(context.sequence);
  }
  /// The guesses hold for both; the source is told of the new sequence when it is first drafted for.
  void fork(SequenceNumber from, SequenceNumber to) override {
    const auto found = sessions_.find(from);
    if (found == sessions_.end()) return;
    Session copy = found->second;
    copy.told.clear();
    copy.under_way = false;
    sessions_[to] = std::move(copy);
  }
  void forget(SequenceNumber sequence) override {
    if (sessions_.erase(sequence) != 0 && source_ != nullptr) source_->forget(sequence);
  }

 private:
  /// Takes the answer to the order under way; any other is stale.
  void collect(const DraftContext& context, Session& session) {
    auto answer = source_->take(context.sequence);
    if (!session.under_way) return;
    if (!answer || answer->round != session.round) {
      if (++session.waited > kPatience) session.under_way = false;
      return;
    }
    session.under_way = false;
    if (answer->kind == DraftAnswer::Kind::lost) session.told.clear();
    session.refusals =
        answer->kind == DraftAnswer::Kind::refused ? std::min(session.refusals + 1, kMostRefusals) : 0;
    if (session.refusals != 0) session.rest = kRefusedRest << (session.refusals - 1);
    if (answer->kind != DraftAnswer::Kind::drafted || answer->position != session.end()) return;
    for (const Guess& guess : answer->guesses) {
      session.ahead.push_back(guess);
      if (session.told.size() == answer->position + static_cast<std::size_t>(&guess - answer->guesses.data()))
        session.told.push_back(guess.token);
    }
  }

  /// Takes from the guesses what the text has reached by now.
  static void check(const DraftContext& context, Session& session) {
    const auto length = static_cast<std::uint32_t>(context.tokens.size());
    if (session.at > length) session.missed();  // it comes back with fewer tokens
    std::uint32_t right = 0;
    while (right < session.ahead.size() && session.at + right < length &&
           session.ahead[right].token == context.tokens[session.at + right])
      ++right;
    session.run += right;
    if (right < session.ahead.size() && session.at + right < length) return session.missed();
    if (session.run > 0) session.dry = 0;
    session.ahead.erase(session.ahead.begin(), session.ahead.begin() + right);
    session.at += right;
    if (session.ahead.empty() && !session.under_way) session.at = length;
  }

  /// Has the source draft on behind the guesses. true: it has been told to.
  bool order(const DraftContext& context, Session& session) {
    if (session.rest > 0) {
      --session.rest;
      return false;
    }
    if (session.under_way) return false;
    if (session.ahead.empty()) session.at = static_cast<std::uint32_t>(context.tokens.size());
    const std::uint32_t reach = session.reach(), ready = static_cast<std::uint32_t>(session.ahead.size());
    if (ready > reach / 2) return false;
    std::vector<TokenId> text(context.tokens.begin(), context.tokens.end());
    for (const Guess& guess : session.ahead) text.push_back(guess.token);
    const auto same = std::mismatch(text.begin(), text.end(), session.told.begin(), session.told.end()).first;
    DraftOrder order;
    order.sequence = context.sequence;
    order.round = ++session.round;
    order.held = static_cast<std::uint32_t>(same - text.begin());
    order.held_hash = text_hash(std::span(text).first(order.held));
    order.tokens.assign(same, text.end());
    order.wanted = std::min(reach - ready, kPiece);
    if (!source_->order(std::move(order))) {
      session.rest = kRefusedRest;
      return false;
    }
    session.told = std::move(text);
    session.under_way = true;
    session.waited = 0;
    return true;
  }

  static DraftTree tree_of(const Session& session, const DraftBudget& budget) {
    DraftTree draft;
    std::int32_t parent = DraftTree::kRoot;
    for (std::uint32_t i = 0; i < session.ahead.size() && i < budget.depth; ++i) {
      const Guess& guess = session.ahead[i];
      if (draft.size() >= budget.nodes) break;
      const std::int32_t node = draft.add(guess.token, parent, guess.confidence);
      if (guess.second_confidence >= kLeastSecond && guess.second != guess.token &&
          draft.size() < budget.nodes)
        (void)draft.add(guess.second, parent, guess.second_confidence);
      parent = node;
    }
    return draft;
  }

  const std::shared_ptr<DraftSource> source_;
  std::map<SequenceNumber, Session> sessions_;
};

}  // namespace

std::unique_ptr<Drafter> make_draft_service(const DrafterOptions& options) {
  return std::make_unique<DraftServiceDrafter>(options);
}

}  // namespace troupe::speculation
