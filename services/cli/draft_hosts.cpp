#include "services/cli/draft_hosts.hpp"

#include <unistd.h>

#include "common/base/log.hpp"
#include "common/config/host.hpp"
#include "common/config/model_catalog.hpp"
#include "common/draft/vocabulary_id.hpp"
#include "common/terminal/progress.hpp"
#include "services/cli/worker_engines.hpp"

namespace troupe::cli {
namespace {

Expected<draft::HostSetup> load_host(const Config& config, const ResolvedModel& resolved, std::size_t hosts,
                                     std::ostream& out) {
  auto model = Model::load(resolved.path);
  TROUPE_TRY(model);
  auto vocabulary = draft::vocabulary_id((*model)->file());
  TROUPE_TRY(vocabulary);
  auto backend = make_backend(config);
  TROUPE_TRY(backend);
  const std::uint64_t free_bytes = free_memory_bytes(), weights = (*model)->weight_bytes();
  if (weights > free_bytes)
    return fail(Errc::does_not_fit, resolved.name + " has " + std::to_string(weights) +
                                        " bytes of weights, " + std::to_string(free_bytes) +
                                        " bytes of memory are free");
  const auto kv = kv_pool_bytes(config.bytes("kv.bytes"), free_bytes - weights, hosts);
  TROUPE_TRY(kv);
  draft::HostOptions options;
  options.kv_bytes = *kv;
  options.max_sessions = static_cast<std::uint32_t>(config.integer("draft.max_sessions"));
  options.pass_rows = static_cast<std::uint32_t>(config.integer("draft.pass_rows"));
  Progress progress(out, "loading " + resolved.name, 100, ::isatty(STDERR_FILENO) != 0);
  auto host = draft::DraftHost::create(*model, *backend, options, [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 100));
  });
  progress.finish();
  TROUPE_TRY(host);
  log::info("draft model loaded", {{"model", resolved.name},
                                   {"kv_pages", (*host)->stats().pages_total},
                                   {"context", (*host)->context_length()}});
  return draft::HostSetup{resolved.name, *vocabulary, std::move(*host)};
}

}  // namespace

Expected<std::vector<draft::HostSetup>> load_draft_hosts(const Config& config, std::ostream& out) {
  const TextList& own = config.list("draft.model");
  const auto models =
      resolve_models(own.empty() ? config.list("model") : own, models_folder(config.text("models")));
  TROUPE_TRY(models);
  std::vector<draft::HostSetup> hosts;
  for (const ResolvedModel& model : *models) {
    if (own.empty() && holds_encoder(model.path)) continue;  // nobody drafts for it
    auto host = load_host(config, model, models->size(), out);
    TROUPE_TRY(host);
    hosts.push_back(std::move(*host));
  }
  return hosts;
}

}  // namespace troupe::cli
