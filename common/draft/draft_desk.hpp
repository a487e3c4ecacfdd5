#pragma once
// Where an engine's thread leaves orders for drafts and finds answers, and the actor that carries both.
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "common/speculation/draft_source.hpp"

namespace troupe::draft {

/// Bounded: one order and one answer for each sequence; a sequence's later order replaces the one that still
/// lies here. Threads: any. Cost: a lock.
class DraftDesk final : public speculation::DraftSource {
 public:
  /// `most_sequences` may be drafted for at once; others are refused.
  explicit DraftDesk(std::size_t most_sequences) : most_sequences_(most_sequences) {}

  // The engine's side.
  [[nodiscard]] bool order(speculation::DraftOrder order) override;
  [[nodiscard]] std::optional<speculation::DraftAnswer> take(speculation::SequenceNumber sequence) override;
  void forget(speculation::SequenceNumber sequence) override;

  // The carrier's side.
  struct Orders {
    std::vector<speculation::DraftOrder> orders;
    std::vector<speculation::SequenceNumber> forgotten;
  };
  /// What lies here since the last call.
  [[nodiscard]] Orders take_orders();
  /// Kept for a sequence that still has orders; replaces an answer that nobody took.
  void put(speculation::SequenceNumber sequence, speculation::DraftAnswer answer);
  /// While it is closed orders are refused; so it is made.
  void open(bool is_open);
  /// `wake` is called when orders lie here after none did, or a sequence is forgotten, at once if they do; it
  /// must not block. An empty one ends that.
  void on_orders(std::function<void()> wake);

 private:
  void ring(std::unique_lock<std::mutex>& lock);

  const std::size_t most_sequences_;
  std::mutex mutex_;
  bool open_ = false;
  bool rung_ = false;  ///< the carrier was woken and has not come yet
  std::function<void()> wake_;
  std::map<speculation::SequenceNumber, std::optional<speculation::DraftAnswer>> sequences_;
  std::map<speculation::SequenceNumber, speculation::DraftOrder> orders_;
  std::vector<speculation::SequenceNumber> forgotten_;
};

}  // namespace troupe::draft
