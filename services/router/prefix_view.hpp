#pragma once
// How much of a prompt each worker holds, as the router knows it: exact where workers tell their blocks
// (numbered updates, repaired by snapshots), predicted from the router's own placements where they do not.
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/kv_events/event.hpp"
#include "common/prefix_index/prefix_index.hpp"
#include "common/wire/messages.hpp"
#include "services/router/predictions.hpp"

namespace troupe::router {

struct PrefixViewOptions {
  std::size_t max_blocks = std::size_t{1} << 20;  ///< of all models
  Duration ask_again = std::chrono::milliseconds(500);
  Duration prediction_life = std::chrono::minutes(5);
  std::size_t max_predicted_blocks = std::size_t{1} << 16;  ///< per worker and model
};

/// Blocks of one worker.
struct Cached {
  std::uint32_t blocks = 0;  ///< leading ones of the prompt
  std::uint32_t in_memory = 0;
  bool predicted = false;  ///< a guess: the worker tells nothing
};

/// Threads: one.
class PrefixView {
 public:
  explicit PrefixView(const PrefixViewOptions& options);

  /// Takes a worker's word. true: something is missing, ask for a snapshot (said once in `ask_again`).
  [[nodiscard]] bool update(const wire::KvUpdate& update, TimePoint now);
  /// Takes what it publishes, in order; from the first time on its KvUpdates count no more.
  void apply(const NodeId& node, const ModelId& model, const kv_events::EventBatch& batch);
  /// It starts over with a snapshot; what it told holds until then.
  void rejoined(const NodeId& node);
  void forget(const NodeId& node);

  /// A prompt with these blocks goes there now. No-op where the worker tells what it holds.
  void placed(const NodeId& node, const ModelId& model, std::span<const BlockKey> blocks, TimePoint now);
  /// The worker says it holds at most this many blocks: older predictions beyond that are wrong.
  void holds_at_most(const NodeId& node, const ModelId& model, std::size_t blocks, TimePoint now);
  /// Old predictions go, and the index clears up behind forgotten workers.
  void tick(TimePoint now);

  /// In the order of `nodes`.
  [[nodiscard]] std::vector<Cached> cached(const ModelId& model, std::span<const NodeId> nodes,
                                           std::span<const BlockKey> blocks);

  /// "exact", "predicted", "mixed", or "empty" before any worker is known.
  [[nodiscard]] std::string_view kind() const;
  [[nodiscard]] std::size_t exact_feeds() const;
  [[nodiscard]] std::size_t predicted_feeds() const { return feeds_.size() - exact_feeds(); }
  [[nodiscard]] const PrefixIndex& index() const { return index_; }
  [[nodiscard]] std::uint64_t gaps() const { return gaps_; }

 private:
  struct Feed {
    HolderId holder;
    bool told = false;      ///< the worker tells what it holds
    bool by_events = false;  ///< and it does so by events
    std::optional<std::uint64_t> sequence;
    std::optional<TimePoint> asked;
    Predictions predictions;
  };
  using Key = std::pair<NodeId, ModelId>;
  [[nodiscard]] Feed* feed(const NodeId& node, const ModelId& model);
  bool start_over(Feed& feed);

  PrefixViewOptions options_;
  PrefixIndex index_;
  std::map<Key, Feed> feeds_;
  std::uint64_t gaps_ = 0;
};

}  // namespace troupe::router
