#pragma once
// A draft host on the engine's own thread: no process, no overlap. For measuring what a draft model's guesses
// are worth, and for tests.
#include <memory>

#include "common/draft/draft_host.hpp"

namespace troupe::draft {

/// Whoever takes an answer makes it. Threads: one. Cost: take() runs the draft model.
class HostSource final : public speculation::DraftSource {
 public:
  HostSource(std::shared_ptr<DraftHost> host, const Clock& clock) : host_(std::move(host)), clock_(clock) {}

  [[nodiscard]] bool order(speculation::DraftOrder order) override;
  [[nodiscard]] std::optional<speculation::DraftAnswer> take(speculation::SequenceNumber sequence) override;
  void forget(speculation::SequenceNumber sequence) override;

 private:
  const std::shared_ptr<DraftHost> host_;  // shared with whoever looks at its numbers
  const Clock& clock_;
  std::map<SessionKey, speculation::DraftAnswer> answers_;
};

}  // namespace troupe::draft
