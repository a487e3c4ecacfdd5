#include "services/draft/draft_service.hpp"

#include <algorithm>

namespace troupe::draft {

Expected<std::unique_ptr<DraftService>> DraftService::create(actors::Runtime& runtime, ServiceSetup setup,
                                                             std::vector<HostSetup> hosts) {
  std::vector<VocabularyId> vocabularies;
  for (const HostSetup& host : hosts) {
    if (std::find(vocabularies.begin(), vocabularies.end(), host.vocabulary) != vocabularies.end())
      return fail(
          Errc::config_invalid,
          host.model + ": another draft model has the same vocabulary; one of them would never be asked");
    vocabularies.push_back(host.vocabulary);
  }
  std::unique_ptr<DraftService> service(new DraftService(runtime, std::move(setup)));
  DraftService* const self = service.get();
  auto role = runtime.spawn(service->setup_.role_name, [&](const actors::RoleHandle& handle) {
    self->role_ = handle;
    self->start_hosts(std::move(hosts));
    ServiceOptions options = self->setup_.options;
    options.on_change = [self](const DraftState& state) {
      const std::lock_guard lock(self->mutex_);
      self->snapshot_ = {state.counters(), state.stats()};
    };
    return std::make_unique<DraftState>(std::move(options), std::move(vocabularies), *self);
  });
  if (!role) return tl::unexpected<Error>(role.error());
  return service;
}

// The role first, so that nothing new is asked; then the hosts.
DraftService::~DraftService() {
  if (role_) runtime_.stop(role_);
  for (const auto& thread : threads_) thread->stop();
}

void DraftService::start_hosts(std::vector<HostSetup> hosts) {
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    threads_.push_back(std::make_unique<DraftThread>(
        std::move(hosts[i].host), setup_.most_waiting, [role = role_, i](HostReport report) {
          auto held = std::make_shared<HostReport>(std::move(report));  // posted work is copyable
          role.post([i, held](actors::RoleState& state, TimePoint, actors::Outbox& out) {
            dynamic_cast<DraftState&>(state).on_report(i, std::move(*held), out);
          });
        }));
  }
}

void DraftService::drain() {
  role_.post([](actors::RoleState& state, TimePoint, actors::Outbox& out) {
    dynamic_cast<DraftState&>(state).drain(out);
  });
}

ServiceSnapshot DraftService::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

}  // namespace troupe::draft
