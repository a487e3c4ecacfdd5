#include "services/cli/config_reload.hpp"

#include <utility>

#include "common/base/log.hpp"

namespace troupe::cli {
namespace {

const metrics::Label kOutcome{"outcome", {"taken", "refused"}};
const metrics::Declaration kReloads{
    "troupe_process_config_reloads_total",
    "Times the configuration was read again; refused: it was wrong, and nothing changed.",
    metrics::Kind::counter,
    {kOutcome}};
const metrics::Declaration kPending{"troupe_process_config_pending_options",
                                    "Options whose changed value waits for a restart.", metrics::Kind::gauge};

}  // namespace

ConfigReload::ConfigReload(Config started, RoleSet roles, Read read, metrics::Registry& registry)
    : live_(std::move(started), roles),
      read_(std::move(read)),
      taken_(registry.counter(kReloads, {"taken"})),
      refused_(registry.counter(kReloads, {"refused"})),
      pending_(registry.gauge(kPending)) {
  show();
}

void ConfigReload::reload(const std::function<void(const Config&)>& apply) {
  auto wanted = read_();
  if (!wanted) {
    refused_.add();
    log::error("the configuration is wrong: nothing was changed", {{"error", to_string(wanted.error())}});
    return;
  }
  const LiveConfig::Reload found = live_.reload(std::move(*wanted));
  if (!found.applied.empty()) apply(live_.wanted());
  for (const OptionChange& change : found.applied)
    log::info("option taken over",
              {{"option", change.name}, {"from", change.from}, {"to", change.to}, {"place", change.place}});
  for (const OptionChange& change : found.pending)
    log::warn("option needs a restart", {{"option", change.name},
                                         {"works_with", change.from},
                                         {"wanted", change.to},
                                         {"place", change.place}});
  log::info("configuration read again",
            {{"taken_over", found.applied.size()}, {"need_a_restart", found.pending.size()}});
  show();
  taken_.add();
}

std::string ConfigReload::json() const {
  const std::lock_guard lock(mutex_);
  return json_;
}

void ConfigReload::show() {
  pending_.set(static_cast<double>(live_.pending()));
  std::string text = live_.json();
  const std::lock_guard lock(mutex_);
  json_ = std::move(text);
}

}  // namespace troupe::cli
