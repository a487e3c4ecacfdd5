#pragma once
// What Ollama's clients are told of models: /api/tags, /api/ps, /api/show.
#include <span>
#include <string>
#include <string_view>

#include "services/gateway/api_host.hpp"

namespace troupe::gateway::ollama {

/// Names without a tag have this one.
inline constexpr std::string_view kLatest = ":latest";

/// "134.52M", "1.2B"
[[nodiscard]] std::string short_count(std::uint64_t parameters);

[[nodiscard]] std::string tags_json(std::span<const ApiHost::Found> models);
/// Every model that is served is in memory, and stays there.
[[nodiscard]] std::string running_json(std::span<const ApiHost::Found> models);
[[nodiscard]] std::string show_json(const ApiHost::Found& model);

/// Whether its template knows of thinking.
[[nodiscard]] bool can_think(const ModelText& model);

}  // namespace troupe::gateway::ollama
