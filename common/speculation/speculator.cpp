#include "common/speculation/speculator.hpp"

#include <algorithm>

namespace troupe::speculation {
namespace {

constexpr double kSequenceDiscount = 0.95;  // the last twenty guesses of a kind decide
constexpr double kOverallDiscount = 0.999;
constexpr double kLeastProbability = 1e-6;

}  // namespace

Expected<void> check_drafter(std::string_view name, const std::vector<DrafterEntry>& table) {
  if (name.empty() || name == kOff || name == kAuto) return {};
  std::string known = "off, auto";
  for (const DrafterEntry& entry : table) {
    if (entry.name == name) return {};
    known.append(", ").append(entry.name);
  }
  return fail(Errc::invalid_argument, "there is no drafter \"" + std::string(name) + "\"; known: " + known);
}

Speculator::Speculator(const SpeculationOptions& options, const DrafterOptions& drafters)
    : options_(options),
      table_(*options.table),
      drafter_options_(drafters),
      drafters_(table_.size()),
      overall_(table_.size(), Acceptance(kOverallDiscount)),
      counters_(table_.size()) {}

Drafter& Speculator::drafter(std::size_t index) {
  auto& made = drafters_[index];
  if (made == nullptr) made = table_[index].make(drafter_options_);
  return *made;
}

bool Speculator::drafts_for(std::string_view request_drafter, std::span<const TokenId> expected) const {
  return !expected.empty() || (request_drafter.empty() ? std::string_view(options_.drafter) : request_drafter) != kOff;
}

/// A name that is not in the table was refused before; here it drafts nothing. `auto` never takes what
/// changes the answer.
std::vector<std::size_t> Speculator::candidates(const Stream& stream) const {
  const std::string_view name = stream.drafter.empty() ? std::string_view(options_.drafter) : stream.drafter;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < table_.size(); ++i) {
    const DrafterEntry& entry = table_[i];
    const bool of_form = entry.of_forms && !stream.context.expected.empty();
    if (of_form || name == entry.name || (name == kAuto && entry.effect == TechniqueClass::exact)) out.push_back(i);
  }
  return out;
}

void Speculator::ask(const Stream& stream, State& state) {
  const std::uint32_t most = std::min(options_.most_draft, stream.most_rows);
  if (most == 0) return;
  for (const std::size_t index : candidates(stream)) {
    DraftTree draft =
        usable(drafter(index).propose(stream.context, {most, most}), drafter_options_.vocab, most, most);
    if (!draft.empty()) state.asked.push_back({index, std::move(draft)});
  }
}

std::vector<double> Speculator::probabilities(const State& state, const Asked& asked) const {
  const auto known = state.acceptance.find(asked.drafter);
  std::vector<double> out;
  for (const DraftNode& node : asked.draft.nodes) {
    double p = overall_[asked.drafter].estimate(node.confidence, static_cast<double>(node.confidence));
    if (known != state.acceptance.end()) p = known->second.estimate(node.confidence, p);
    p = std::max(p, kLeastProbability);
    out.push_back(node.parent == DraftTree::kRoot ? p : p * out[static_cast<std::size_t>(node.parent)]);
  }
  return out;
}

std::vector<DraftTree> Speculator::plan(std::span<const Stream> streams, const StepSeconds& seconds,
                                        std::uint32_t most_rows) {
  std::vector<DraftTree> drafts(streams.size());
  for (const Stream& stream : streams)
    if (const auto known = states_.find(stream.context.sequence); known != states_.end())
      known->second.asked.clear();
  bypassed_ = true;
  if (most_rows == 0) return drafts;
  if (!options_.always && (!seconds || !could_pay(streams.size(), seconds, most_rows))) return drafts;

  bypassed_ = false;
  std::vector<Proposal> proposals;
  std::vector<Asked*> behind;  // of each proposal
  for (std::size_t i = 0; i < streams.size(); ++i) {
    State& state = states_[streams[i].context.sequence];
    ask(streams[i], state);
    for (Asked& asked : state.asked) {
      proposals.push_back({i, &asked.draft, probabilities(state, asked)});
      behind.push_back(&asked);
    }
  }
  // Always: as if a further row took no time, so that everything proposed is verified as far as there is
  // room.
  const StepSeconds free = [](std::uint32_t) { return 1.0; };
  const auto kept = options_.always ? choose_rows(proposals, streams.size(), free, most_rows, 0)
                                    : choose_rows(proposals, streams.size(), seconds, most_rows);
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    if (std::find(kept[i].begin(), kept[i].end(), true) == kept[i].end()) continue;
    behind[i]->verified = true;
    drafts[proposals[i].stream] = arranged(*proposals[i].draft, kept[i], proposals[i].probability);
  }
  return drafts;
}

std::uint32_t Speculator::rows_wanted(SequenceNumber sequence) const {
  if (bypassed_ || !states_.contains(sequence)) return 0;
  for (std::size_t i = 0; i < drafters_.size(); ++i)
    if (drafters_[i] != nullptr && table_[i].wants_rows) return kMostBest;
  return 0;
}

/// Guesses along what was emitted were right or wrong; those beside it were never put to the test.
void Speculator::score(State& state, const Asked& asked, std::span<const TokenId> emitted) {
  Acceptance& own = state.acceptance.try_emplace(asked.drafter, kSequenceDiscount).first->second;
  std::int32_t at = DraftTree::kRoot;
  for (const TokenId token : emitted) {
    for (const DraftNode& node : asked.draft.nodes) {
      if (node.parent != at) continue;
      own.saw(node.confidence, node.token == token);
      overall_[asked.drafter].saw(node.confidence, node.token == token);
    }
    at = asked.draft.child(at, token);
    if (at == DraftTree::kRoot) return;
  }
}

void Speculator::count(const Asked& asked, const Verification& verified) {
  DraftCounters& counters = counters_[asked.drafter];
  counters.steps += 1;
  counters.proposed += verified.draft().size();
  counters.accepted += verified.path().size();
  const std::vector<std::uint32_t> depths = verified.draft().depths();
  std::uint32_t deepest = 0;
  for (const std::uint32_t depth : depths) deepest = std::max(deepest, depth);
  const auto position = [](std::size_t depth) { return std::min(depth, DraftCounters::kPositions - 1); };
  for (std::size_t depth = 0; depth <= deepest; ++depth) counters.proposed_at[position(depth)] += 1;
  for (std::size_t depth = 0; depth < verified.path().size(); ++depth)
    counters.accepted_at[position(depth)] += 1;
}

void Speculator::observe(const DraftContext& context, const Observation& observation,
                         const Verification* verified) {
  const auto known = states_.find(context.sequence);
  if (known == states_.end()) return;
  State& state = known->second;
  const auto emitted = context.tokens.last(observation.emitted);
  for (const Asked& asked : state.asked) {
    score(state, asked, emitted);
    if (asked.verified && verified != nullptr) count(asked, *verified);
  }
  state.asked.clear();
  for (const auto& drafter : drafters_)
    if (drafter != nullptr) drafter->observe(context, observation);
}

void Speculator::fork(SequenceNumber from, SequenceNumber to) {
  if (const auto known = states_.find(from); known != states_.end()) {
    State copy = known->second;
    copy.asked.clear();
    states_[to] = std::move(copy);
  }
  for (const auto& drafter : drafters_)
    if (drafter != nullptr) drafter->fork(from, to);
}

void Speculator::forget(SequenceNumber sequence) {
  states_.erase(sequence);
  for (const auto& drafter : drafters_)
    if (drafter != nullptr) drafter->forget(sequence);
}

}  // namespace troupe::speculation
