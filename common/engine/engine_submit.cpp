// How requests enter, arrive from elsewhere, and leave.
#include <algorithm>

#include "common/engine/engine_impl.hpp"
#include "common/sampling/token_rules.hpp"

#include "common/kv/block_key.hpp"

namespace troupe::engine {
namespace {

std::uint32_t pages_for(std::uint64_t tokens) { return static_cast<std::uint32_t>((tokens + kPageTokens - 1) / kPageTokens); }

/// Rows of a step that nothing exceeds.
std::uint32_t step_rows(const EngineOptions& options) { return std::max(options.token_budget, options.max_sequences); }

speculation::DrafterOptions drafter_options(const Model& model, const speculation::SpeculationOptions& options) {
  speculation::DrafterOptions out;
  out.vocab = model.config().vocab;
  out.store_tokens = options.store_tokens;
  out.source = options.source;
  return out;
}

}  // namespace

Expected<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend,
                                                 const EngineOptions& options, const Clock& clock,
                                                 std::function<void(double)> on_load) {
  constexpr std::uint64_t kMinPages = 2;
  const std::size_t page = page_bytes(model->config(), backend->kv_dtype());
  // A pool larger than every sequence at full context would never be used.
  const std::uint64_t most = std::uint64_t{options.max_sequences} * pages_for(model->config().context_length);
  const std::uint64_t pages = std::min(options.kv_bytes / page, std::max<std::uint64_t>(most, kMinPages));
  if (pages < kMinPages) {
    return fail(Errc::does_not_fit, "kv.bytes is " + std::to_string(options.kv_bytes) + ", at least " +
                                        std::to_string(kMinPages * page) + " are needed for " + std::to_string(kMinPages) + " pages");
  }
  if (options.token_budget == 0 || options.chunk == 0 || options.max_sequences == 0)
    return fail(Errc::config_invalid, "token_budget, chunk and max_sequences must be positive");
  TROUPE_TRY(speculation::check_drafter(options.speculation.drafter, *options.speculation.table));
  auto runner = ModelRunner::create(model, backend, step_rows(options), static_cast<std::uint32_t>(pages), on_load);
  TROUPE_TRY(runner);
  return std::make_unique<EngineImpl>(std::move(model), std::move(backend), options, clock, std::move(*runner));
}

EngineImpl::EngineImpl(std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend,
                       const EngineOptions& options, const Clock& clock, std::unique_ptr<ModelRunner> runner)
    : model_(std::move(model)), backend_(std::move(backend)), options_(options), clock_(clock), runner_(std::move(runner)),
      model_id_(model_->id(backend_->numerics_id())), pool_(runner_->kv_layout().pages, options.prefix_cache),
      context_(std::min(model_->config().context_length, runner_->kv_layout().pages * kPageTokens)),
      disk_(open_disk()),
      write_back_(disk_ ? std::make_unique<WriteBack>(pool_, *runner_, *disk_, options.disk.write) : nullptr),
      swap_(options.swap_bytes), preemption_(options.preemption),
      speculator_(options.speculation, drafter_options(*model_, options.speculation)),
      scheduler_({options.token_budget, options.chunk, step_rows(options), options.schedule}, options.itl_slo),
      places_(options.tenant_weights), rows_(options.tenant_weights) {}

EngineImpl::~EngineImpl() {
  constexpr Duration kFlushLimit = std::chrono::seconds(2);
  if (write_back_ != nullptr) write_back_->flush(kFlushLimit);
}

Expected<void> EngineImpl::check(const Request& request) const {
  TROUPE_TRY(validate(request.sampling, model_->config().vocab));
  TROUPE_TRY(validate(request.rules, model_->config().vocab));
  TROUPE_TRY(speculation::check_drafter(request.drafter, *options_.speculation.table));
  if (request.prompt.empty()) return fail(Errc::invalid_argument, "a prompt has at least one token");
  if (request.choices == 0) return fail(Errc::invalid_argument, "choices must be positive");
  if (request.resumed_tokens >= request.prompt.size() || (request.resumed_tokens > 0 && request.choices != 1))
    return fail(Errc::invalid_argument, "a resumed request has a prompt before its emitted tokens, and one choice");
  for (const TokenId token : request.prompt) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= model_->config().vocab)
      return fail(Errc::invalid_argument, "token id " + std::to_string(token) + " is outside 0.." + std::to_string(model_->config().vocab - 1));
  }
  const std::uint64_t answer = request.max_tokens == 0 ? 0 : 1;  // one token has to fit; more end with `length`
  if (request.prompt.size() + answer > context_) {
    return fail(Errc::context_length_exceeded, "the prompt has " + std::to_string(request.prompt.size()) +
                                                   " tokens, the context holds " + std::to_string(context_));
  }
  if (request.grammar != nullptr) TROUPE_TRY(matcher_of(request));
  if (request.beam.width > 0) TROUPE_TRY(check_beams(request));
  if (request.superposed.drafts > 0) TROUPE_TRY(check_superposed(request));
  if (request.pooling != Pooling::none) TROUPE_TRY(check_pooling(request));
  const std::size_t waiting = waiting_.size() + waiting_for_disk();
  if (waiting >= options_.queue)
    return fail(Errc::queue_full, std::to_string(waiting) + " of " + std::to_string(options_.queue) + " requests wait");
  return {};
}

EngineImpl::SequencePtr EngineImpl::make_sequence(Request request) {
  auto sequence = std::make_unique<Sequence>();
  sequence->tokens = request.prompt;
  sequence->times.queued = request.arrived.value_or(clock_.now());
  if (request.traced) sequence->news = std::make_unique<StageNews>();
  sequence->standing.priority = request.priority;
  sequence->standing.arrival = arrivals_++;
  sequence->number.value = sequences_++;
  sequence->choice = request.first_choice;
  if (request.beam.width > 0) sequence->beams = std::make_shared<BeamGroup>(new_search(request));
  else if (request.superposed.drafts > 0) sequence->superposed = new_superposed(request);
  else sequence->forks = request.choices - 1;
  sequence->emitted = request.resumed_tokens;
  if (needs_history(request.sampling)) {
    sequence->history.emplace(model_->config().vocab, request.sampling.repeat_last_n);
    const std::size_t own = request.prompt.size() - request.resumed_tokens;
    for (std::size_t i = 0; i < request.prompt.size(); ++i)
      i < own ? sequence->history->add_prompt(request.prompt[i]) : sequence->history->add_answer(request.prompt[i]);
  }
  if (request.grammar != nullptr) sequence->matcher = *matcher_of(request);
  if (request.pooling != Pooling::none)
    sequence->pool.emplace(request.pooling, static_cast<std::uint32_t>(request.prompt.size()), model_->config().width);
  sequence->request = std::make_shared<const Request>(std::move(request));
  return sequence;
}

SequencePages EngineImpl::new_pages(const Request& request) const {
  return SequencePages(pool_, root_key(model_id_, request.tenant),
                       request.pages_of.is_zero() ? std::string(kDensePolicy) : converted_policy(request.pages_of));
}

PageFormat EngineImpl::page_format() const {
  const backend::KvLayout& layout = runner_->kv_layout();
  const PageNumbers numbers = layout.dtype == backend::DType::i8    ? PageNumbers::int8
                              : layout.dtype == backend::DType::f16 ? PageNumbers::f16
                                                                    : PageNumbers::f32;
  return {backend::kPageSlots, layout.kv_heads, layout.key_dim, layout.value_dim, numbers, KeyOrder::by_channel};
}

void EngineImpl::copy(const std::optional<CopyPage>& page) {
  if (page) runner_->copy_page(page->from, page->to);
}

/// Gives a sequence pages and what the cache holds of its first `most` tokens; returns the tokens covered.
std::uint32_t EngineImpl::adopt(Sequence& sequence, std::uint32_t most) {
  sequence.pages.emplace(new_pages(*sequence.request));
  if (needs_every_row(*sequence.request)) return 0;
  bool ok = true;
  copy(sequence.pages->adopt(sequence.tokens, most, ok));
  return sequence.pages->length();
}

void EngineImpl::enqueue(SequencePtr sequence) {
  std::vector<std::string_view> tenants;
  for (const SequencePtr& other : waiting_) tenants.push_back(other->request->tenant);
  places_.arrived(sequence->request->tenant, tenants);
  waiting_.push_back(std::move(sequence));
}

Expected<void> EngineImpl::submit(Request request) {
  TROUPE_TRY(check(request));
  arrive(make_sequence(std::move(request)));
  return {};
}

Expected<void> EngineImpl::submit_prefill(Request request, std::uint32_t tokens,
                                          std::function<bool(const PrefillProgress&)> progress) {
  request.choices = 1;
  TROUPE_TRY(check(request));
  if (tokens == 0 || tokens > request.prompt.size())
    return fail(Errc::invalid_argument, "prefill of " + std::to_string(tokens) + " of " + std::to_string(request.prompt.size()) + " tokens");
  if (request.draw_first && (tokens != request.prompt.size() || request.beam.width > 0 || request.superposed.drafts > 0 ||
                             request.max_tokens <= request.resumed_tokens))
    return fail(Errc::invalid_argument, "a first token is drawn behind a whole prompt, of an answer that goes on there");
  auto sequence = make_sequence(std::move(request));
  sequence->target = tokens;
  sequence->feed = std::make_unique<PrefillFeed>(sequence->request->id, layers(), tokens, std::move(progress));
  arrive(std::move(sequence));
  return {};
}

void EngineImpl::release_prefill(const RequestId& id) { prefilled_.erase(id); }

Expected<std::uint32_t> EngineImpl::reserve_import(Request request, std::uint32_t tokens) {
  TROUPE_TRY(check(request));
  if (tokens == 0 || tokens >= request.prompt.size())
    return fail(Errc::invalid_argument, "an import of " + std::to_string(tokens) + " of " + std::to_string(request.prompt.size()) + " prompt tokens");
  const RequestId id = request.id;
  if (importing_.contains(id)) return fail(Errc::invalid_argument, "the request is being imported already");
  auto sequence = make_sequence(std::move(request));
  const std::uint32_t whole = tokens / kPageTokens * kPageTokens;  // a partial page comes with the transfer
  sequence->cached_tokens = adopt(*sequence, whole);
  sequence->pages->truncate(sequence->cached_tokens / kPageTokens * kPageTokens);
  sequence->cached_tokens = sequence->pages->length();
  sequence->started = true;
  sequence->times.admitted = sequence->times.queued;
  while (true) {
    auto reserved = sequence->pages->reserve(tokens);
    if (reserved) break;
    if (!yield_fetch()) return tl::unexpected<Error>(std::move(reserved.error()));
  }
  auto import = std::make_unique<ImportState>();
  import->tokens = tokens;
  import->first_page = sequence->cached_tokens / kPageTokens;
  import->got.assign(layers(), std::vector<bool>(pages_for(tokens) - import->first_page, false));
  sequence->import = std::move(import);
  // Slots exist from now on; they count as computed at commit only.
  const auto missing = std::span(sequence->tokens).subspan(sequence->pages->length(), tokens - sequence->pages->length());
  copy(sequence->pages->append(missing));
  const std::uint32_t held = sequence->cached_tokens;
  importing_.emplace(id, std::move(sequence));
  return held;
}

const Sequence* EngineImpl::importing(const RequestId& id) const {
  const auto found = importing_.find(id);
  return found == importing_.end() ? nullptr : found->second.get();
}

/// The physical page.
Expected<std::uint32_t> EngineImpl::import_place(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                                 std::size_t bytes) const {
  const Sequence* sequence = importing(id);
  if (sequence == nullptr) return fail(Errc::transfer_failed, "no import is open for this request");
  const ImportState& import = *sequence->import;
  if (layer >= layers() || page_index < import.first_page || page_index - import.first_page >= import.got[0].size() ||
      bytes != layer_page_bytes())
    return fail(Errc::transfer_failed, "layer " + std::to_string(layer) + ", page " + std::to_string(page_index) + ", " +
                                           std::to_string(bytes) + " bytes do not belong to this import");
  return sequence->pages->pages()[page_index];
}

Expected<void> EngineImpl::import_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                       std::span<const std::byte> bytes) {
  const auto place = import_place(id, layer, page_index, bytes.size());
  TROUPE_TRY(place);
  runner_->import_page(layer, *place, bytes);
  ImportState& import = *importing_.at(id)->import;
  import.got[layer][page_index - import.first_page] = true;
  return {};
}

Expected<void> EngineImpl::imported_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                         std::span<std::byte> to) const {
  const auto place = import_place(id, layer, page_index, to.size());
  TROUPE_TRY(place);
  runner_->export_page(layer, *place, to);
  return {};
}

Expected<void> EngineImpl::commit_import(const RequestId& id, std::uint32_t tokens) {
  const auto found = importing_.find(id);
  if (found == importing_.end()) return fail(Errc::transfer_failed, "no import is open for this request");
  SequencePtr sequence = std::move(found->second);
  importing_.erase(found);
  const ImportState& import = *sequence->import;
  tokens = std::clamp(tokens, import.first_page * kPageTokens, import.tokens);
  for (std::size_t layer = 0; layer < import.got.size(); ++layer) {
    for (std::uint32_t page = import.first_page; page < pages_for(tokens); ++page)
      if (!import.got[layer][page - import.first_page])
        return fail(Errc::transfer_failed, "layer " + std::to_string(layer) + " of the prompt is incomplete");
  }
  sequence->pages->truncate(tokens);
  sequence->pages->computed(tokens);
  sequence->cached_tokens = tokens;
  sequence->import.reset();
  sequence->served = stats_.steps;
  running_.push_back(std::move(sequence));  // it holds pages: it does not wait again
  return {};
}

/// The sequence is then like one that was preempted behind that token.
Expected<void> EngineImpl::import_answer(const RequestId& id, TokenId token) {
  const auto found = importing_.find(id);
  if (found == importing_.end()) return fail(Errc::transfer_failed, "no import is open for this request");
  Sequence& sequence = *found->second;
  if (token < 0 || static_cast<std::uint32_t>(token) >= model_->config().vocab || sequence.forks != 0 || sequence.beams || sequence.superposed ||
      sequence.matcher || sequence.pool || sequence.emitted + 1 >= sequence.request->max_tokens ||
      sequence.tokens.size() + 1 >= context_)
    return fail(Errc::invalid_argument, "token " + std::to_string(token) + " of another worker does not go before this answer's rest");
  sequence.tokens.push_back(token);
  sequence.emitted += 1;
  if (sequence.history) sequence.history->add_answer(token);
  sequence.times.first_token = clock_.now();
  return {};
}

std::uint32_t EngineImpl::cached_tokens_for(std::string_view tenant, std::span<const TokenId> prompt) const {
  if (prompt.empty() || !options_.prefix_cache) return 0;
  const auto keys = block_keys(model_id_, tenant, prompt.first(prompt.size() - 1));  // the last token is always computed
  return pool_.lookup(keys).tokens();
}

void EngineImpl::export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const {
  runner_->export_page(layer, page, to);
}

HeldBlocks EngineImpl::hold_blocks(const RequestId& id, std::span<const BlockKey> keys) {
  release_blocks(id);
  const PagePool::Match match = pool_.lookup(keys);
  HeldBlocks held{match.pages, match.tokens()};
  if (match.partial_page) held.pages.push_back(*match.partial_page);
  for (const std::uint32_t page : held.pages) pool_.ref_found(page);
  if (!held.pages.empty()) held_[id] = held.pages;
  return held;
}

void EngineImpl::release_blocks(const RequestId& id) {
  const auto found = held_.find(id);
  if (found == held_.end()) return;
  for (auto page = found->second.rbegin(); page != found->second.rend(); ++page) pool_.unref(*page);
  held_.erase(found);
}

void EngineImpl::cancel(const RequestId& id) {
  const auto matches = [&](const SequencePtr& sequence) { return sequence->request->id == id; };
  std::erase_if(waiting_, matches);
  std::erase_if(running_, matches);
  for (Fetch& fetch : fetching_) std::erase_if(fetch.waiting, matches);
  importing_.erase(id);
  prefilled_.erase(id);
}

bool EngineImpl::has_work() const {
  if (!waiting_.empty() || !running_.empty() || !fetching_.empty()) return true;
  return disk_ != nullptr && (disk_->has_news() || write_back_->has_work());
}

EngineStats EngineImpl::stats() const {
  EngineStats stats = stats_;
  stats.running = static_cast<std::uint32_t>(running_.size());
  stats.waiting = static_cast<std::uint32_t>(waiting_.size()) + waiting_for_disk();
  stats.pages_total = pool_.total();
  stats.pages_free = pool_.free();
  stats.pages_cached = pool_.cached();
  stats.swapped_bytes = swap_.used();
  for (const auto* list : {&waiting_, &running_})
    for (const SequencePtr& sequence : *list)
      stats.queued_prompt_tokens += sequence->decoding() ? 0 : sequence->remaining();
  stats.drafts.assign(speculator_.counters().begin(), speculator_.counters().end());
  if (disk_ != nullptr) stats.disk = disk_->stats();
  stats.disk.paused |= disk_ == nullptr && !options_.disk.path.empty();
  for (const Fetch& fetch : fetching_) stats.pages_reserved += static_cast<std::uint32_t>(fetch.pages.pages().size());
  for (const auto& [id, sequence] : importing_) stats.pages_reserved += static_cast<std::uint32_t>(sequence->pages->pages().size());
  return stats;
}

}  // namespace troupe::engine
