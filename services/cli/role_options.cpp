#include "services/cli/role_options.hpp"

#include <array>
#include <cstdlib>
#include <string>
#include <utility>

namespace troupe::cli {

log::Level log_level(const Config& config) {
  constexpr std::array<std::pair<std::string_view, log::Level>, 5> kLevels{{{"debug", log::Level::debug},
                                                                            {"info", log::Level::info},
                                                                            {"warn", log::Level::warn},
                                                                            {"error", log::Level::error},
                                                                            {"off", log::Level::off}}};
  for (const auto& [text, level] : kLevels)
    if (text == config.text("log.level")) return level;
  return log::Level::info;
}

router::RouterTuning router_tuning(const Config& config) {
  router::RouterTuning tuning;
  tuning.policy = config.text("router.policy");
  if (const Duration slo = config.duration("router.first_token_slo"); slo != Duration::zero())
    tuning.first_token_slo = slo;
  tuning.min_prompt_tokens = static_cast<std::uint32_t>(config.integer("disagg.min_prompt_tokens"));
  tuning.min_fetch_tokens = static_cast<std::uint32_t>(config.integer("disagg.min_fetch_tokens"));
  return tuning;
}

gateway::EdgeTuning edge_tuning(const Config& config) {
  gateway::EdgeTuning tuning;
  tuning.http.max_connections = static_cast<std::size_t>(config.integer("http.max_connections"));
  tuning.http.max_header_bytes = config.bytes("http.header_bytes");
  tuning.http.max_body_bytes = config.bytes("http.body_bytes");
  tuning.http.read_timeout = config.duration("http.read_timeout");
  tuning.http.write_timeout = config.duration("http.write_timeout");
  tuning.http.idle_timeout = config.duration("http.idle_timeout");
  tuning.request_deadline = config.duration("request.deadline");
  tuning.audit = {config.text("gateway.audit"), config.bytes("gateway.audit_bytes")};
  return tuning;
}

std::size_t most_streams(const Config& config) {
  return static_cast<std::size_t>(config.integer("gateway.max_streams"));
}

std::filesystem::path batch_folder(const Config& config) {
  const std::string& named = config.text("gateway.batch.path");
  if (named == "none") return {};
  if (!named.empty()) return named;
  // Gateways of one user on one machine have different ports.
  const std::string own = "troupe/batches-" + std::to_string(config.integer("http.port"));
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto state = variable("XDG_STATE_HOME"); !state.empty()) return state / own;
  const auto home = variable("HOME");
  return home.empty() ? home : home / ".local/state" / own;
}

}  // namespace troupe::cli
