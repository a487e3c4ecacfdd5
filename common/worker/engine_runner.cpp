#include "common/worker/engine_runner.hpp"

#include "common/kv/block_key.hpp"

namespace troupe::worker {
namespace {
constexpr std::uint32_t kPageTokens = kBlockTokens * kBlocksPerPage;
constexpr std::uint32_t kMaxFrames = 1u << 20;
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
  const std::uint32_t skip = cached / kPageTokens * kPageTokens;
  const bool run_here = skip >= command.tokens;
  auto done = run_here ? engine_.submit(std::move(command.request))
                       : engine_.reserve_import(std::move(command.request), command.tokens);
  if (!done) {
    reports.push_back(Refused{id, std::move(done.error())});
    return;
  }
  if (!run_here) importing_[id] = Importing{{}, 0, skip / kPageTokens, command.tokens / kPageTokens};
  reports.push_back(Reserved{id, skip, run_here});
}

void EngineRunner::run(ImportFrame& command, std::vector<Report>& reports) {
  const auto found = importing_.find(command.engine_id);
  if (found == importing_.end()) return;  // cancelled meanwhile
  if (auto done = import_frame(command, found->second); !done) {
    reports.push_back(Refused{command.engine_id, std::move(done.error())});
    return;
  }
  reports.push_back(Imported{command.engine_id, found->second.count});
}

Expected<void> EngineRunner::import_frame(const ImportFrame& command, Importing& importing) {
  const wire::KvFrame& frame = command.header;
  const std::size_t size = engine_.layer_page_bytes();
  if (frame.layer_page_bytes != size || frame.layers == 0 || frame.layers > engine_.layers() ||
      frame.first_layer > engine_.layers() - frame.layers || frame.frame >= kMaxFrames ||
      command.payload->size() != std::size_t{frame.layers} * frame.pages.size() * size)
    return fail(Errc::transfer_failed, "a KV frame has another shape than this model's pages");
  if (frame.frame < importing.frames.size() && importing.frames[frame.frame]) return {};  // a repeat
  const auto bytes = std::as_bytes(std::span(*command.payload));
  std::size_t at = 0;
  for (std::uint32_t layer = frame.first_layer; layer < frame.first_layer + frame.layers; ++layer) {
    for (const std::uint32_t page : frame.pages) {
      if (page < importing.first_page || page >= importing.end_page)
        return fail(Errc::transfer_failed,
                    "a KV frame brings page " + std::to_string(page) + ", which nobody asked for");
      TROUPE_TRY(engine_.import_page(command.engine_id, layer, page, bytes.subspan(at, size)));
      at += size;
    }
  }
  if (frame.frame >= importing.frames.size()) importing.frames.resize(frame.frame + 1, false);
  importing.frames[frame.frame] = true;
  ++importing.count;
  return {};
}

void EngineRunner::run(CommitImport& command, std::vector<Report>& reports) {
  if (importing_.erase(command.engine_id) == 0) return;
  if (auto done = engine_.commit_import(command.engine_id); !done)
    reports.push_back(Refused{command.engine_id, std::move(done.error())});
  else
    reports.push_back(Committed{command.engine_id});
}

void EngineRunner::run(Prefill& command, std::vector<Report>& reports) {
  const RequestId id = command.request.id;
  Publication what;
  what.request = command.request_id;
  what.epoch = command.epoch;
  what.model = engine_.model_id();
  what.data_address = command.data_address;
  what.layers = engine_.layers();
  what.layer_page_bytes = static_cast<std::uint32_t>(engine_.layer_page_bytes());
  what.first_page = command.skip_tokens / kPageTokens;
  what.end_page = command.tokens / kPageTokens;
  auto publisher = std::make_unique<KvPublisher>(
      std::move(what),
      [this](std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) {
        engine_.export_page(layer, page, to);
      },
      send_);
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

void EngineRunner::run(CancelRequest& command, std::vector<Report>&) {
  engine_.cancel(command.engine_id);
  importing_.erase(command.engine_id);
  if (publishing_.contains(command.engine_id)) {
    engine_.release_prefill(command.engine_id);
    publishing_.erase(command.engine_id);
  }
}

void EngineRunner::run(FailPrefill& command, std::vector<Report>& reports) {
  for (const auto& [id, entry] : publishing_) {
    const Publication& what = entry.publisher->publication();
    if (what.request != command.request_id || what.epoch != command.epoch) continue;
    const RequestId engine_id = id;
    end_prefill(engine_id, std::move(command.error), reports);
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
      if (event.error && publishing_.contains(event.id)) end_prefill(event.id, event.error, reports);
    if (!out.tokens.empty() || !out.kv.empty())
      reports.push_back(Stepped{std::move(out.tokens), std::move(out.kv)});
  }
  return settle_publishing(reports) || moved;
}

/// Sends what was held back and reports prefills whose last frame left. true: one ended.
bool EngineRunner::settle_publishing(std::vector<Report>& reports) {
  std::vector<std::pair<RequestId, std::optional<Error>>> ended;
  for (auto& [id, entry] : publishing_) {
    KvPublisher& publisher = *entry.publisher;
    const bool flushed = !entry.prefilled || publisher.flush();
    if (publisher.failed())
      ended.emplace_back(id, Error{Errc::transfer_failed, "the receiver takes no more frames"});
    else if (!entry.prefilled || !flushed)
      continue;
    else if (!publisher.complete())
      ended.emplace_back(id, Error{Errc::internal, "prefill ended before its last page"});
    else
      ended.emplace_back(id, std::nullopt);
  }
  for (auto& [id, error] : ended) end_prefill(id, std::move(error), reports);
  return !ended.empty();
}

void EngineRunner::end_prefill(const RequestId& engine_id, std::optional<Error> error,
                               std::vector<Report>& reports) {
  const auto found = publishing_.find(engine_id);
  if (found == publishing_.end()) return;
  const std::uint32_t frames = found->second.publisher->frames(), cached = found->second.cached_tokens;
  if (!found->second.prefilled) engine_.cancel(engine_id);
  engine_.release_prefill(engine_id);
  publishing_.erase(found);
  reports.push_back(Prefilled{engine_id, frames, cached, std::move(error)});
}

}  // namespace troupe::worker
