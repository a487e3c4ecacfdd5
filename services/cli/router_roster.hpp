#pragma once
// How processes find their routers when they are told a Redis instead of addresses: routers enter a roster
// there.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.hpp"
#include "common/directory/roster.hpp"

namespace troupe::cli {

/// A connection to the Redis of `cluster.directory`; null when that is none. Errors: config_invalid.
[[nodiscard]] Expected<std::unique_ptr<directory::Directory>> open_shared_directory(const Config& config);

/// Threads: one, callbacks aside.
class RouterRoster {
 public:
  using Addresses = std::vector<std::string>;

  RouterRoster(std::unique_ptr<directory::Directory> directory, Duration lease);

  /// This process hosts a router.
  void enter(const std::string& address);
  /// Waits for a router. Errors: deadline_exceeded, cancelled when `stop` says so.
  [[nodiscard]] Expected<Addresses> first(Duration patience, const std::function<bool()>& stop);
  /// Tells of later changes; `changed` must not block.
  void on_change(std::function<void(const Addresses&)> changed);

 private:
  struct Seen;
  std::shared_ptr<Seen> seen_;  // the roster's answers write to it
  directory::Roster roster_;
};

}  // namespace troupe::cli
