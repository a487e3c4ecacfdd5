#include "common/config/live_config.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "common/config/dump.hpp"

namespace troupe {
namespace {

using Json = nlohmann::ordered_json;

std::string shown_value(const Config& config, std::size_t index) {
  const Option& option = config.schema().options()[index];
  std::string text = format_value(config.value(index));
  return option.secret && !text.empty() ? "***" : text;
}

}  // namespace

LiveConfig::LiveConfig(Config started, RoleSet roles)
    : roles_(roles), started_(std::move(started)), wanted_(started_) {}

LiveConfig::Reload LiveConfig::reload(Config wanted) {
  const Config before = std::exchange(wanted_, std::move(wanted));
  Reload found;
  const auto& options = started_.schema().options();
  for (std::size_t i = 0; i < options.size(); ++i) {
    if ((options[i].roles & roles_) == 0) continue;
    if (is_pending(i)) found.pending.push_back(change(i, started_));
    if (options[i].reloadable && before.value(i) != wanted_.value(i))
      found.applied.push_back(change(i, before));
  }
  return found;
}

const Config& LiveConfig::holder_of(std::string_view option) const {
  const auto index = started_.schema().find(option);
  TROUPE_CHECK(index.has_value(), option);
  return started_.schema().options()[*index].reloadable ? wanted_ : started_;
}

bool LiveConfig::is_pending(std::size_t index) const {
  const Option& option = started_.schema().options()[index];
  return (option.roles & roles_) != 0 && !option.reloadable && started_.value(index) != wanted_.value(index);
}

std::size_t LiveConfig::pending() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < started_.schema().options().size(); ++i) count += is_pending(i) ? 1 : 0;
  return count;
}

std::string LiveConfig::json() const {
  const Json started = Json::parse(dump_json(started_)), wanted = Json::parse(dump_json(wanted_));
  Json out = Json::object();
  const auto& options = started_.schema().options();
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::string name(options[i].name);
    Json entry = (options[i].reloadable ? wanted : started)[name];
    entry["reloadable"] = options[i].reloadable;
    if (is_pending(i)) entry["pending"] = wanted[name];
    out[name] = std::move(entry);
  }
  return out.dump(2);
}

OptionChange LiveConfig::change(std::size_t index, const Config& before) const {
  return {std::string(started_.schema().options()[index].name), shown_value(before, index),
          shown_value(wanted_, index), wanted_.provenance(index).place};
}

}  // namespace troupe
