#pragma once
// A running draft service: its role in the runtime, and a thread for each draft model.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/actors/runtime.hpp"
#include "services/draft/draft_state.hpp"

namespace troupe::draft {

struct HostSetup {
  std::string model;  ///< for logs
  VocabularyId vocabulary;
  std::unique_ptr<DraftHost> host;
};

struct ServiceSetup {
  ServiceOptions options;
  std::string role_name = "draft";  ///< unique in the process
  std::size_t most_waiting = 1024;  ///< orders that wait for a host; more are refused
};

/// At most a message old.
struct ServiceSnapshot {
  ServiceCounters counters;
  std::vector<HostStats> hosts;
};

/// Threads: any, but for create and the destructor.
class DraftService final : public HostDoor {
 public:
  /// Errors: address_in_use, config_invalid (two models of one vocabulary). `runtime` must outlive it.
  [[nodiscard]] static Expected<std::unique_ptr<DraftService>> create(actors::Runtime& runtime,
                                                                      ServiceSetup setup,
                                                                      std::vector<HostSetup> hosts);
  ~DraftService() override;

  /// Takes no more orders; those who order turn elsewhere.
  void drain();
  [[nodiscard]] const std::string& address() const { return role_.address(); }
  [[nodiscard]] ServiceSnapshot snapshot() const;

  [[nodiscard]] bool post(std::size_t host, HostCommand command) override {
    return threads_[host]->post(std::move(command));
  }

 private:
  DraftService(actors::Runtime& runtime, ServiceSetup setup) : runtime_(runtime), setup_(std::move(setup)) {}
  void start_hosts(std::vector<HostSetup> hosts);

  actors::Runtime& runtime_;
  ServiceSetup setup_;
  actors::RoleHandle role_;
  std::vector<std::unique_ptr<DraftThread>> threads_;
  mutable std::mutex mutex_;
  ServiceSnapshot snapshot_;
};

}  // namespace troupe::draft
