#include "services/router/prefix_view.hpp"

#include <algorithm>
#include <utility>

#include "common/base/log.hpp"

namespace troupe::router {
namespace {
// A placed prompt waits and computes this long before a worker's word about its pages is held against it.
constexpr std::chrono::seconds kSettle{30};
constexpr std::size_t kSweepPerTick = 65536;
}  // namespace

PrefixView::PrefixView(const PrefixViewOptions& options)
    : options_(options), index_({.max_blocks = options.max_blocks}) {}

/// None when the index knows as many holders as it can.
PrefixView::Feed* PrefixView::feed(const NodeId& node, const ModelId& model) {
  const auto known = feeds_.find({node, model});
  if (known != feeds_.end()) return &known->second;
  const auto holder = index_.add_holder();
  if (!holder) return nullptr;
  Feed fresh;
  fresh.holder = *holder;
  return &feeds_.emplace(Key{node, model}, std::move(fresh)).first->second;
}

bool PrefixView::start_over(Feed& feed) {
  index_.forget(feed.holder);
  feed.predictions = {};
  const auto holder = index_.add_holder();
  if (holder) feed.holder = *holder;
  return holder.has_value();
}

bool PrefixView::update(const wire::KvUpdate& update, TimePoint now) {
  Feed* const f = feed(update.node, update.model);
  if (f == nullptr || f->by_events) return false;
  const bool next = f->sequence && update.sequence == *f->sequence + 1;
  if (!update.snapshot && !next) {
    if (f->sequence && update.sequence <= *f->sequence) return false;  // a repeat
    ++gaps_;
    if (f->asked && now - *f->asked < options_.ask_again) return false;
    f->asked = now;
    return true;
  }
  if (update.snapshot) {
    if (!f->told && f->predictions.size() != 0)
      log::info("a worker tells its blocks: predictions are dropped", {{"node", to_hex(update.node)}});
    f->told = true;
    if (!start_over(*f)) return false;
  }
  f->sequence = update.sequence;
  index_.remove(f->holder, update.removed);
  index_.store(f->holder, update.stored);
  index_.remove(f->holder, update.removed_from_disk, Tier::disk);
  index_.store(f->holder, update.stored_on_disk, Tier::disk);
  return false;
}

void PrefixView::apply(const NodeId& node, const ModelId& model, const kv_events::EventBatch& batch) {
  Feed* const f = feed(node, model);
  if (f == nullptr) return;
  if (!std::exchange(f->by_events, true)) {
    f->told = true;
    if (!start_over(*f)) return;
  }
  for (const kv_events::Event& event : batch.events) {
    if (const auto* stored = std::get_if<kv_events::BlocksStored>(&event))
      index_.store(f->holder, stored->blocks, stored->tier);
    else if (const auto* removed = std::get_if<kv_events::BlocksRemoved>(&event))
      index_.remove(f->holder, removed->blocks, removed->tier);
    else if (!start_over(*f))
      return;
  }
}

void PrefixView::rejoined(const NodeId& node) {
  for (auto at = feeds_.lower_bound({node, {}}); at != feeds_.end() && at->first.first == node; ++at)
    at->second.sequence.reset();
}

void PrefixView::forget(const NodeId& node) {
  const auto first = feeds_.lower_bound({node, {}});
  auto end = first;
  for (; end != feeds_.end() && end->first.first == node; ++end) index_.forget(end->second.holder);
  feeds_.erase(first, end);
}

void PrefixView::placed(const NodeId& node, const ModelId& model, std::span<const BlockKey> blocks,
                        TimePoint now) {
  Feed* const f = feed(node, model);
  if (f == nullptr || f->told) return;
  (void)f->predictions.use(blocks, now);
  index_.store(f->holder, blocks);  // again, if the index was full in between
  index_.remove(f->holder, f->predictions.drop(options_.max_predicted_blocks, now - options_.prediction_life));
}

void PrefixView::holds_at_most(const NodeId& node, const ModelId& model, std::size_t blocks, TimePoint now) {
  const auto known = feeds_.find({node, model});
  if (known == feeds_.end() || known->second.told) return;
  Feed& f = known->second;
  index_.remove(f.holder, f.predictions.drop_settled(blocks, now - kSettle));
}

void PrefixView::tick(TimePoint now) {
  for (auto& [key, f] : feeds_)
    if (!f.told)
      index_.remove(f.holder,
                    f.predictions.drop(options_.max_predicted_blocks, now - options_.prediction_life));
  index_.sweep(kSweepPerTick);
}

std::vector<Cached> PrefixView::cached(const ModelId& model, std::span<const NodeId> nodes,
                                       std::span<const BlockKey> blocks) {
  std::vector<HolderId> holders;
  std::vector<Cached> out(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto known = feeds_.find({nodes[i], model});
    holders.push_back(known == feeds_.end() ? HolderId{} : known->second.holder);
    out[i].predicted = known == feeds_.end() || !known->second.told;
  }
  const auto matches = index_.match(blocks, holders);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    out[i].blocks = matches[i].blocks;
    out[i].in_memory = matches[i].in_memory;
  }
  return out;
}

std::size_t PrefixView::exact_feeds() const {
  return static_cast<std::size_t>(
      std::count_if(feeds_.begin(), feeds_.end(), [](const auto& entry) { return entry.second.told; }));
}

std::string_view PrefixView::kind() const {
  if (feeds_.empty()) return "empty";
  const std::size_t exact = exact_feeds();
  return exact == feeds_.size() ? "exact" : exact == 0 ? "predicted" : "mixed";
}

}  // namespace troupe::router
