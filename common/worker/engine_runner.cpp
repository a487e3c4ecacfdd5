#include "common/worker/engine_runner.hpp"

namespace troupe::worker {
void EngineRunner::execute(Command command, std::vector<Report>& reports) {
  std::visit([&](auto& c) { run(c, reports); }, command);
}

void EngineRunner::run(Submit& command, std::vector<Report>& reports) {
  const RequestId id = command.request.id;
  if (auto done = engine_.submit(std::move(command.request)); !done)
    reports.push_back(Refused{id, std::move(done.error())});
}

void EngineRunner::run(ReserveImport& command, std::vector<Report>& reports) {
  const RequestId id = command.request.id;
  const bool foreign = !command.request.pages_of.is_zero();
  if (engine_.cached_tokens_for(command.request.tenant, command.request.prompt) >= command.enough) {
    command.request.pages_of = {};
    if (auto done = engine_.submit(std::move(command.request)); !done)
      reports.push_back(Refused{id, std::move(done.error())});
    else
      reports.push_back(Reserved{id, command.tokens, true});
    return;
  }
  auto held = engine_.reserve_import(std::move(command.request), command.tokens);
  if (!held) {
    reports.push_back(Refused{id, std::move(held.error())});
    return;
  }
  importing_.try_emplace(id, engine_, id, *held, command.tokens, command.conversion, foreign);
  reports.push_back(Reserved{id, *held, false});
}

void EngineRunner::run(ImportFrame& command, std::vector<Report>& reports) {
  const auto found = importing_.find(command.engine_id);
  if (found == importing_.end()) return;  // cancelled meanwhile
  auto taken = found->second.take(command.header,
                                  std::as_bytes(std::span(command.payload->data(), command.payload->size())));
  if (taken && !command.payload->intact())  // its sender gave it up and wrote over it: nobody can tell when
    taken = fail(Errc::transfer_failed, "a KV frame was taken back while it was read");
  if (!taken) {
    reports.push_back(Refused{command.engine_id, std::move(taken.error())});
    return;
  }
  reports.push_back(Imported{command.engine_id, found->second.leading_tokens()});
}

void EngineRunner::run(CommitImport& command, std::vector<Report>& reports) {
  const auto found = importing_.find(command.engine_id);
  if (found == importing_.end()) return;
  const auto converted = found->second.converted();
  importing_.erase(found);
  Expected<void> done;
  if (command.drawn) done = engine_.import_answer(command.engine_id, *command.drawn);
  if (done) done = engine_.commit_import(command.engine_id, command.tokens);
  if (!done)
    reports.push_back(Refused{command.engine_id, std::move(done.error())});
  else
    reports.push_back(Committed{command.engine_id, converted});
}

/// Of whole pages: from the one that the receiver's first missing token lies in to the last begun one.
std::unique_ptr<KvPublisher> EngineRunner::make_publisher(const TransferId& transfer,
                                                          const std::string& data_address,
                                                          const std::string& host, std::uint32_t skip_tokens,
                                                          std::uint32_t tokens) {
  Publication what;
  what.transfer = transfer;
  what.model = engine_.model_id();
  what.data_address = data_address;
  what.host = host;
  what.layers = engine_.layers();
  what.layer_page_bytes = static_cast<std::uint32_t>(engine_.layer_page_bytes());
  what.format = engine_.page_format();
  what.first_page = skip_tokens / what.format.page_tokens;
  what.end_page = (tokens + what.format.page_tokens - 1) / what.format.page_tokens;
  what.tokens = tokens;
  return std::make_unique<KvPublisher>(
      std::move(what),
      [this](std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) {
        engine_.export_page(layer, page, to);
      },
      send_, buffers_);
}

void EngineRunner::run(Prefill& command, std::vector<Report>& reports) {
  const RequestId id = command.request.id;
  auto publisher = make_publisher(command.transfer, command.data_address, command.host, command.skip_tokens,
                                  command.tokens);
  const std::uint32_t cached = engine_.cached_tokens_for(command.request.tenant, command.request.prompt);
  KvPublisher* const target = publisher.get();
  const auto whole = static_cast<std::uint32_t>(command.request.prompt.size());
  const std::uint32_t computed = command.request.draw_first ? whole : command.tokens;
  auto done = engine_.submit_prefill(
      std::move(command.request), computed,
      [target](const engine::PrefillProgress& progress) { return target->offer(progress); });
  if (!done) {
    reports.push_back(Prefilled{id, 0, 0, std::move(done.error())});
    return;
  }
  publishing_[id] = Publishing{std::move(publisher), false, std::min(cached, command.tokens)};
}

void EngineRunner::run(Export& command, std::vector<Report>& reports) {
  const RequestId id = command.engine_id;
  engine::HeldBlocks held = engine_.hold_blocks(id, command.keys);
  if (held.tokens <= command.skip_tokens) {
    engine_.release_blocks(id);
    reports.push_back(Exported{id, held.tokens, std::nullopt});
    return;
  }
  auto publisher =
      make_publisher(command.transfer, command.data_address, command.host, command.skip_tokens, held.tokens);
  publishing_[id] = Publishing{std::move(publisher), false, 0, std::move(held)};
}

/// As far as the window lets it; the last page goes whole, whatever it holds.
void EngineRunner::offer_held(const RequestId& id, Publishing& entry) const {
  engine::PrefillProgress progress{id, entry.next_layer, 0, entry.held->pages, entry.held->tokens};
  for (; entry.next_layer < engine_.layers(); ++entry.next_layer) {
    progress.layer = entry.next_layer;
    if (!entry.publisher->offer(progress)) return;
  }
  entry.prefilled = true;
}

void EngineRunner::run(CancelRequest& command, std::vector<Report>&) {
  engine_.cancel(command.engine_id);
  importing_.erase(command.engine_id);
  if (publishing_.contains(command.engine_id)) {
    engine_.release_prefill(command.engine_id);
    engine_.release_blocks(command.engine_id);
    publishing_.erase(command.engine_id);
  }
}

void EngineRunner::run(FailTransfer& command, std::vector<Report>& reports) {
  for (const auto& [id, entry] : publishing_) {
    if (entry.publisher->publication().transfer != command.transfer) continue;
    const RequestId engine_id = id;
    end_publishing(engine_id, std::move(command.error), reports);
    return;
  }
}

void EngineRunner::run(ListBlocks&, std::vector<Report>& reports) {
  reports.push_back(Blocks{engine_.cached_blocks(), engine_.disk_blocks()});
}

void EngineRunner::run(Reject& command, std::vector<Report>& reports) {
  reports.push_back(Refused{command.engine_id, std::move(command.error)});
}

bool EngineRunner::step(const std::function<bool()>& interrupted, std::vector<Report>& reports) {
  bool moved = false;
  if (engine_.has_work()) {
    engine::StepOutput out = engine_.step(interrupted);
    moved = out.rows != 0 || out.pages_moved != 0 || !out.tokens.empty() || !out.prefilled.empty();
    for (const RequestId& id : out.prefilled)
      if (const auto found = publishing_.find(id); found != publishing_.end()) found->second.prefilled = true;
    for (auto& [id, news] : out.prefill_news)
      if (const auto found = publishing_.find(id); found != publishing_.end()) found->second.news = std::move(news);
    // A prefill that missed its deadline or failed ends like a stream would: with an error event.
    for (const engine::TokenEvent& event : out.tokens)
      if (event.error && publishing_.contains(event.id)) end_publishing(event.id, event.error, reports);
    take_drawn(out.tokens, reports);
    if (!out.tokens.empty() || !out.kv.empty())
      reports.push_back(Stepped{std::move(out.tokens), std::move(out.kv)});
  }
  return settle_publishing(reports) || moved;
}

/// First tokens of others' prompts leave the events: no stream of this worker made them.
void EngineRunner::take_drawn(std::vector<engine::TokenEvent>& events, std::vector<Report>& reports) const {
  if (publishing_.empty()) return;
  for (engine::TokenEvent& event : events)
    if (const auto found = publishing_.find(event.id); found != publishing_.end() && !event.tokens.empty())
      reports.push_back(Drawn{event.id, std::move(event.tokens.front()), found->second.cached_tokens});
  std::erase_if(events, [&](const engine::TokenEvent& event) { return publishing_.contains(event.id); });
}

/// Sends what was held back and reports transfers whose last frame left. true: one ended.
bool EngineRunner::settle_publishing(std::vector<Report>& reports) {
  std::vector<std::pair<RequestId, std::optional<Error>>> ended;
  for (auto& [id, entry] : publishing_) {
    KvPublisher& publisher = *entry.publisher;
    if (entry.held && !entry.prefilled) offer_held(id, entry);
    const bool flushed = !entry.prefilled || publisher.flush();
    if (publisher.failed())
      ended.emplace_back(id, Error{Errc::transfer_failed, "the receiver takes no more frames"});
    else if (!entry.prefilled || !flushed)
      continue;
    else if (!publisher.complete())
      ended.emplace_back(id, Error{Errc::internal, "the transfer ended before its last page"});
    else
      ended.emplace_back(id, std::nullopt);
  }
  for (auto& [id, error] : ended) end_publishing(id, std::move(error), reports);
  return !ended.empty();
}

void EngineRunner::end_publishing(const RequestId& engine_id, std::optional<Error> error,
                                  std::vector<Report>& reports) {
  const auto found = publishing_.find(engine_id);
  if (found == publishing_.end()) return;
  const Publishing entry = std::move(found->second);
  publishing_.erase(found);
  if (entry.held) {
    engine_.release_blocks(engine_id);
    reports.push_back(Exported{engine_id, entry.held->tokens, std::move(error)});
    return;
  }
  if (!entry.prefilled) engine_.cancel(engine_id);
  engine_.release_prefill(engine_id);
  reports.push_back(
      Prefilled{engine_id, entry.publisher->frames(), entry.cached_tokens, std::move(error), entry.news});
}

}  // namespace troupe::worker
