#include "services/cli/worker_engines.hpp"

#include <unistd.h>

#include <algorithm>

#include "common/backend/backend.hpp"
#include "common/base/log.hpp"
#include "common/config/host.hpp"
#include "common/config/model_catalog.hpp"
#include "common/draft/vocabulary_id.hpp"
#include "common/encoder/encoder_engine.hpp"
#include "common/model/model.hpp"
#include "common/terminal/progress.hpp"
#include "common/tokenizer/token_texts.hpp"
#include "services/cli/ngram_file.hpp"

namespace troupe::cli {
namespace {

std::uint32_t number(const Config& config, std::string_view option) {
  return static_cast<std::uint32_t>(config.integer(option));
}

engine::PreemptionPolicy preemption_of(const std::string& text) {
  if (text == "swap") return engine::PreemptionPolicy::swap;
  if (text == "recompute") return engine::PreemptionPolicy::recompute;
  return engine::PreemptionPolicy::automatic;
}

Expected<engine::EngineOptions> engine_options(const Config& config) {
  engine::EngineOptions options;
  options.token_budget = number(config, "engine.token_budget");
  options.chunk = number(config, "engine.chunk");
  options.itl_slo = std::chrono::milliseconds(config.integer("engine.itl_slo_ms"));
  if (config.text("engine.schedule") == "prefill_first") options.schedule = engine::SchedulePolicy::prefill_first;
  options.max_sequences = number(config, "engine.max_sequences");
  options.queue = number(config, "engine.queue");
  options.preemption = preemption_of(config.text("engine.preemption"));
  options.swap_bytes = config.bytes("kv.swap_bytes");
  options.disk.path = config.text("kv.disk.path");
  options.disk.capacity_bytes = config.bytes("kv.disk.capacity");
  options.disk.retry = config.duration("kv.disk.retry");
  if (config.text("kv.disk.write") == "evicted") options.disk.write = kv::disk::WriteWhen::evicted;
  options.most_overtakes = number(config, "engine.max_overtakes");
  auto weights = engine::parse_tenant_weights(config.list("engine.tenant_weights"));
  if (!weights) return fail(weights.error().code, "engine.tenant_weights: " + weights.error().detail);
  options.tenant_weights = std::move(*weights);
  options.prefix_cache = config.boolean("kv.prefix_cache");
  options.hydragen = config.boolean("engine.hydragen");
  options.speculation.drafter = config.text("speculation.drafter");
  options.speculation.most_draft = number(config, "speculation.max_draft");
  options.speculation.store_tokens = number(config, "speculation.store_tokens");
  return options;
}

Expected<std::shared_ptr<backend::Backend>> make_cpu(const Config& config, backend::Numerics numerics,
                                                     backend::KvCodec codec = backend::KvCodec::f16) {
  backend::CpuOptions cpu;
  cpu.threads = number(config, "engine.threads") == 0 ? usable_cores() : number(config, "engine.threads");
  cpu.isa = *backend::isa_named(config.text("engine.isa"));
  cpu.pin_threads = config.text("engine.pin_threads") == "auto";
  cpu.numerics = numerics;
  cpu.kv_codec = codec;
  auto made = backend::make_cpu_backend(cpu);
  if (!made) return tl::unexpected<Error>(made.error());
  return std::shared_ptr<backend::Backend>(std::move(*made));
}

constexpr std::size_t kDeskSequences = 4;  // choices of one prompt, and sequences that are over but not forgotten

const Clock& steady_clock() {
  static const SteadyClock kClock;
  return kClock;
}

/// For answers of a given form. Null when the file's tokenizer is not known here: everything else is served.
std::shared_ptr<const grammar::TokenTrie> vocabulary_of(const Model& model) {
  const auto tokenizer = Tokenizer::from_gguf(model.file());
  if (!tokenizer) {
    log::warn("no structured output", {{"why", to_string(tokenizer.error())}});
    return nullptr;
  }
  return std::make_shared<const grammar::TokenTrie>(token_texts(**tokenizer));
}

/// Null where no text is given.
Expected<std::shared_ptr<const NgramTable>> ngrams_of(const Config& config, const Model& model) {
  const std::string& path = config.text("superposed.text");
  if (path.empty()) return std::shared_ptr<const NgramTable>();
  const auto tokenizer = Tokenizer::from_gguf(model.file());
  if (!tokenizer) return tl::unexpected<Error>(tokenizer.error());
  auto table = ngrams_of_file(path, **tokenizer, number(config, "superposed.ngrams"));
  if (!table) return fail(table.error().code, "superposed.text: " + table.error().detail);
  log::info("n-grams counted", {{"text", path}, {"runs", (*table)->runs()}, {"bytes", (*table)->bytes()}});
  return table;
}

Expected<worker::EngineSetup> load_encoder(const Config& config, const ResolvedModel& resolved, std::ostream& out) {
  auto file = encoder::BertFile::open(resolved.path);
  if (!file) return tl::unexpected<Error>(file.error());
  const std::uint64_t free_bytes = free_memory_bytes(), weights = (*file)->weight_bytes();
  if (weights > free_bytes) {
    return fail(Errc::does_not_fit, resolved.name + " has " + std::to_string(weights) +
                                        " bytes of weights, " + std::to_string(free_bytes) +
                                        " bytes of memory are free");
  }
  auto made = make_cpu(config, backend::Numerics::reference);
  if (!made) return tl::unexpected<Error>(made.error());
  const std::shared_ptr<backend::Backend> backend = std::move(*made);
  encoder::EncoderOptions options;
  options.token_budget = number(config, "engine.token_budget");
  options.queue = number(config, "engine.max_sequences") + number(config, "engine.queue");
  Progress progress(out, "loading " + resolved.name, 100, ::isatty(STDERR_FILENO) != 0);
  auto engine = encoder::make_encoder_engine(*file, backend, options, steady_clock(), [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 100));
  });
  progress.finish();
  if (!engine) return tl::unexpected<Error>(engine.error());
  log::info("encoder loaded", {{"model", resolved.name},
                               {"device", backend->info().name},
                               {"numerics", encoder::kEncoderNumerics},
                               {"context", (*engine)->context_length()}});
  return worker::EngineSetup{resolved.name, std::string(encoder::kEncoderNumerics), options.queue, std::move(*engine),
                             (*file)->id("weights")};
}

Expected<worker::EngineSetup> load_engine(const Config& config, const ResolvedModel& resolved,
                                          std::size_t engines, std::ostream& out, draft::DraftLink* drafts) {
  auto model = Model::load(resolved.path);
  if (!model) return tl::unexpected<Error>(model.error());
  auto made = make_backend(config);
  if (!made) return tl::unexpected<Error>(made.error());
  const std::shared_ptr<backend::Backend> backend = std::move(*made);
  const std::uint64_t free_bytes = free_memory_bytes(), weights = (*model)->weight_bytes();
  if (weights > free_bytes) {
    return fail(Errc::does_not_fit, resolved.name + " has " + std::to_string(weights) +
                                        " bytes of weights, " + std::to_string(free_bytes) +
                                        " bytes of memory are free");
  }
  auto chosen = engine_options(config);
  TROUPE_TRY(chosen);
  engine::EngineOptions options = std::move(*chosen);
  const auto kv = kv_pool_bytes(config.bytes("kv.bytes"), free_bytes - weights, engines);
  if (!kv) return tl::unexpected<Error>(kv.error());
  options.kv_bytes = *kv;
  if (drafts != nullptr) {
    const auto vocabulary = draft::vocabulary_id((*model)->file());
    if (!vocabulary) return tl::unexpected<Error>(vocabulary.error());
    options.speculation.source = drafts->add_desk(*vocabulary, kDeskSequences * options.max_sequences);
  }
  auto ngrams = ngrams_of(config, **model);
  if (!ngrams) return tl::unexpected<Error>(ngrams.error());
  options.ngrams = std::move(*ngrams);
  Progress progress(out, "loading " + resolved.name, 100, ::isatty(STDERR_FILENO) != 0);
  auto engine = engine::Engine::create(*model, backend, options, steady_clock(), [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 100));
  });
  progress.finish();
  if (!engine) return tl::unexpected<Error>(engine.error());
  const engine::EngineStats stats = (*engine)->stats();
  log::info("model loaded", {{"model", resolved.name},
                             {"device", backend->info().name},
                             {"numerics", backend->numerics_id()},
                             {"kv_pages", stats.pages_total},
                             {"context", (*engine)->context_length()}});
  return worker::EngineSetup{resolved.name, backend->numerics_id(), options.max_sequences + options.queue,
                             std::move(*engine), (*model)->id("weights"), vocabulary_of(**model)};
}

}  // namespace

Expected<std::uint64_t> kv_pool_bytes(std::uint64_t configured, std::uint64_t free_bytes,
                                      std::size_t engines) {
  if (configured == 0) return free_bytes / 4 / std::max<std::size_t>(1, engines);
  if (configured <= free_bytes) return configured;
  return fail(Errc::does_not_fit, "kv.bytes is " + std::to_string(configured) + ", beside the weights " +
                                      std::to_string(free_bytes) + " bytes of memory are free");
}

Expected<std::shared_ptr<backend::Backend>> make_backend(const Config& config) {
  const bool reference = config.text("engine.numerics") == "reference";
  return make_cpu(config, reference ? backend::Numerics::reference : backend::Numerics::fast,
                  config.text("kv.codec") == "int8" ? backend::KvCodec::int8 : backend::KvCodec::f16);
}

Expected<std::vector<worker::EngineSetup>> load_engines(const Config& config, std::ostream& out,
                                                        draft::DraftLink* drafts) {
  const auto models = resolve_models(config.list("model"), models_folder(config.text("models")));
  if (!models) return tl::unexpected<Error>(models.error());
  std::vector<worker::EngineSetup> engines;
  const auto decoders = std::ranges::count_if(*models, [](const ResolvedModel& m) { return !holds_encoder(m.path); });
  for (const ResolvedModel& model : *models) {
    auto engine = holds_encoder(model.path) ? load_encoder(config, model, out)
                                            : load_engine(config, model, static_cast<std::size_t>(decoders), out, drafts);
    if (!engine) return tl::unexpected<Error>(engine.error());
    engines.push_back(std::move(*engine));
  }
  return engines;
}

}  // namespace troupe::cli
