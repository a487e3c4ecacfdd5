#pragma once
// A running process reads its configuration again: what is taken over, what waits for a restart, and how that
// is told, in the log, in metrics and in /config.
#include <functional>
#include <mutex>
#include <string>

#include "common/config/live_config.hpp"
#include "common/metrics/registry.hpp"

namespace troupe::cli {

/// Threads: one, but for json().
class ConfigReload {
 public:
  /// Reads every source anew.
  using Read = std::function<Expected<Config>()>;

  /// `registry` must outlive it.
  ConfigReload(Config started, RoleSet roles, Read read, metrics::Registry& registry);

  /// Takes over what may be, by way of `apply` where there is something, and only then says that it did. A
  /// source that cannot be read, or is wrong, changes nothing and is logged with its line.
  void reload(const std::function<void(const Config&)>& apply);

  /// Of the reloadable options what is in force; of others what a restart would take.
  [[nodiscard]] const Config& wanted() const { return live_.wanted(); }
  /// What /config answers (LiveConfig::json). Threads: any.
  [[nodiscard]] std::string json() const;

 private:
  void show();

  LiveConfig live_;
  const Read read_;
  const metrics::Counter taken_, refused_;
  const metrics::Gauge pending_;
  mutable std::mutex mutex_;
  std::string json_;
};

}  // namespace troupe::cli
