#pragma once
// A decode worker's way to draft services: its engines' desks, and the role that carries what lies on them.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/actors/runtime.hpp"
#include "common/draft/draft_client.hpp"
#include "common/metrics/registry.hpp"

namespace troupe::draft {

/// First desks, for the engines to be made; then start(). Threads: its owner's, but for stats().
class DraftLink {
 public:
  explicit DraftLink(std::vector<std::string> services) : services_(std::move(services)) {}
  ~DraftLink();
  DraftLink(const DraftLink&) = delete;
  DraftLink& operator=(const DraftLink&) = delete;

  /// What an engine of this vocabulary takes as SpeculationOptions::source. Before start().
  [[nodiscard]] std::shared_ptr<speculation::DraftSource> add_desk(const VocabularyId& vocabulary,
                                                                   std::size_t most_sequences);
  /// `runtime` must outlive this. Errors: address_in_use.
  [[nodiscard]] Expected<void> start(actors::Runtime& runtime, const NodeId& node);
  [[nodiscard]] ClientStats stats() const;

 private:
  const std::vector<std::string> services_;
  std::vector<Desk> desks_;
  actors::Runtime* runtime_ = nullptr;
  actors::RoleHandle role_;
  mutable std::mutex mutex_;
  ClientStats stats_;  // as of the last message
};

/// `link` must live as long as the registry's last collection.
void add_link_metrics(metrics::Registry& registry, const DraftLink& link);

}  // namespace troupe::draft
