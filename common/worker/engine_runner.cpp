#include "common/worker/engine_runner.hpp"

#include <algorithm>

#include "common/kv/block_key.hpp"

namespace troupe::worker {
namespace {
constexpr std::uint32_t kPageTokens = kBlockTokens * kBlocksPerPage;

std::uint32_t pages_for(std::uint32_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}
}  // namespace

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
  const std::uint32_t cached = engine_.cached_tokens_for(command.request.tenant, command.request.prompt);
  const std::uint32_t skip = std::min(cached, command.tokens) / kPageTokens * kPageTokens;
  const bool run_here = cached >= command.tokens;
  auto done = run_here ? engine_.submit(std::move(command.request))
                       : engine_.reserve_import(std::move(command.request), command.tokens);
  if (!done) {
    reports.push_back(Refused{id, std::move(done.error())});
    return;
  }
  if (!run_here) {
    Importing importing{skip / kPageTokens, pages_for(command.tokens), command.tokens};
    const std::size_t pages = importing.end_page - importing.first_page;
    importing.got.assign(pages, std::vector<bool>(engine_.layers(), false));
    importing.layers_missing.assign(pages, engine_.layers());
    importing_[id] = std::move(importing);
  }
  reports.push_back(Reserved{id, skip, run_here});
}

void EngineRunner::run(ImportFrame& command, std::vector<Report>& reports) {
  const auto found = importing_.find(command.engine_id);
  if (found == importing_.end()) return;  // cancelled meanwhile
  if (auto done = import_frame(command, found->second); !done) {
    reports.push_back(Refused{command.engine_id, std::move(done.error())});
    return;
  }
  reports.push_back(Imported{command.engine_id, found->second.leading_tokens()});
}

std::uint32_t EngineRunner::Importing::leading_tokens() const {
  const auto missing =
      std::find_if(layers_missing.begin(), layers_missing.end(), [](std::uint32_t n) { return n != 0; });
  const auto pages = first_page + static_cast<std::uint32_t>(missing - layers_missing.begin());
  return std::min(pages * kPageTokens, tokens);
}

/// Pages are counted, not frames: what comes twice, late or cut into other frames changes nothing.
Expected<void> EngineRunner::import_frame(const ImportFrame& command, Importing& importing) {
  const wire::KvFrame& frame = command.header;
  const std::size_t size = engine_.layer_page_bytes();
  if (frame.layer_page_bytes != size || frame.layers == 0 || frame.layers > engine_.layers() ||
      frame.first_layer > engine_.layers() - frame.layers ||
      command.payload->size() != std::size_t{frame.layers} * frame.pages.size() * size)
    return fail(Errc::transfer_failed, "a KV frame has another shape than this model's pages");
  const auto bytes = std::as_bytes(std::span(command.payload->data(), command.payload->size()));
  std::size_t at = 0;
  for (std::uint32_t layer = frame.first_layer; layer < frame.first_layer + frame.layers; ++layer) {
    for (const std::uint32_t page : frame.pages) {
      if (page < importing.first_page || page >= importing.end_page)
        return fail(Errc::transfer_failed,
                    "a KV frame brings page " + std::to_string(page) + ", which nobody asked for");
      const std::size_t index = page - importing.first_page;
      if (!importing.got[index][layer]) {
        TROUPE_TRY(engine_.import_page(command.engine_id, layer, page, bytes.subspan(at, size)));
        importing.got[index][layer] = true;
        --importing.layers_missing[index];
      }
      at += size;
    }
  }
  if (!command.payload->intact())  // its sender gave it up and wrote over it: nobody can tell when
    return fail(Errc::transfer_failed, "a KV frame was taken back while it was read");
  return {};
}

void EngineRunner::run(CommitImport& command, std::vector<Report>& reports) {
  if (importing_.erase(command.engine_id) == 0) return;
  if (auto done = engine_.commit_import(command.engine_id, command.tokens); !done)
    reports.push_back(Refused{command.engine_id, std::move(done.error())});
  else
    reports.push_back(Committed{command.engine_id});
}

std::unique_ptr<KvPublisher> EngineRunner::make_publisher(const TransferId& transfer,
                                                          const std::string& data_address,
                                                          const std::string& host, std::uint32_t first_page,
                                                          std::uint32_t end_page) {
  Publication what;
  what.transfer = transfer;
  what.model = engine_.model_id();
  what.data_address = data_address;
  what.host = host;
  what.layers = engine_.layers();
  what.layer_page_bytes = static_cast<std::uint32_t>(engine_.layer_page_bytes());
  what.first_page = first_page;
  what.end_page = end_page;
  return std::make_unique<KvPublisher>(
      std::move(what),
      [this](std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) {
        engine_.export_page(layer, page, to);
      },
      send_, buffers_);
}

void EngineRunner::run(Prefill& command, std::vector<Report>& reports) {
  const RequestId id = command.request.id;
  auto publisher = make_publisher(command.transfer, command.data_address, command.host,
                                  command.skip_tokens / kPageTokens, command.tokens / kPageTokens);
  const std::uint32_t cached = engine_.cached_tokens_for(command.request.tenant, command.request.prompt);
  KvPublisher* const target = publisher.get();
  auto done = engine_.submit_prefill(
      std::move(command.request), command.tokens,
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
      make_publisher(command.transfer, command.data_address, command.host, command.skip_tokens / kPageTokens,
                     static_cast<std::uint32_t>(held.pages.size()));
  publishing_[id] = Publishing{std::move(publisher), false, 0, std::move(held)};
}

/// As far as the window lets it; the last page goes whole, whatever it holds.
void EngineRunner::offer_held(const RequestId& id, Publishing& entry) const {
  const auto pages = static_cast<std::uint32_t>(entry.held->pages.size());
  engine::PrefillProgress progress{id, entry.next_layer, 0, entry.held->pages, pages * kPageTokens};
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

bool EngineRunner::step(const std::function<bool()>& interrupted, std::vector<Report>& reports) {
  bool moved = false;
  if (engine_.has_work()) {
    engine::StepOutput out = engine_.step(interrupted);
    moved = out.rows != 0 || out.pages_moved != 0 || !out.tokens.empty() || !out.prefilled.empty();
    for (const RequestId& id : out.prefilled)
      if (const auto found = publishing_.find(id); found != publishing_.end()) found->second.prefilled = true;
    // A prefill that missed its deadline or failed ends like a stream would: with an error event.
    for (const engine::TokenEvent& event : out.tokens)
      if (event.error && publishing_.contains(event.id)) end_publishing(event.id, event.error, reports);
    if (!out.tokens.empty() || !out.kv.empty())
      reports.push_back(Stepped{std::move(out.tokens), std::move(out.kv)});
  }
  return settle_publishing(reports) || moved;
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
  reports.push_back(Prefilled{engine_id, entry.publisher->frames(), entry.cached_tokens, std::move(error)});
}

}  // namespace troupe::worker
