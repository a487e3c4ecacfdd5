// Pages from the disk tier: prompts that go on there wait for them, for a while, and then find them in the
// prefix cache like any other.
#include <algorithm>

#include "common/base/log.hpp"
#include "common/engine/engine_impl.hpp"
#include "common/engine/tier/fetch_choice.hpp"

namespace troupe::engine {

std::unique_ptr<kv::disk::DiskTier> EngineImpl::open_disk() const {
  if (options_.disk.path.empty()) return nullptr;
  if (!options_.prefix_cache) {
    log::warn("no KV pages are kept on disk: the prefix cache is off");
    return nullptr;
  }
  auto tier = kv::disk::DiskTier::open(options_.disk, {model_id_, layer_page_bytes() * layers()});
  if (!tier) {
    log::error("no KV pages are kept on disk", {{"error", to_string(tier.error())}});
    return nullptr;
  }
  const auto stats = (*tier)->stats();
  log::info("KV pages on disk",
            {{"path", options_.disk.path}, {"pages", stats.pages}, {"bytes", stats.bytes}});
  return std::move(*tier);
}

/// A new request waits for its place, or before that for pages from disk.
void EngineImpl::arrive(SequencePtr sequence) {
  if (disk_ != nullptr && !needs_every_row(*sequence->request) && fetch(sequence)) return;
  enqueue(std::move(sequence));
}

/// Takes the sequence if there is something to wait for.
bool EngineImpl::fetch(SequencePtr& sequence) {
  const std::uint32_t whole = sequence->wanted() / kPageTokens;
  const auto keys = block_keys(model_id_, sequence->request->tenant,
                               std::span(sequence->tokens).first(std::size_t{whole} * kPageTokens));
  const auto name = [&](std::uint32_t page) { return keys[(page + 1) * kBlocksPerPage - 1]; };
  const auto first = static_cast<std::uint32_t>(pool_.lookup(keys).pages.size());
  if (first == whole) return false;
  for (Fetch& other : fetching_) {
    if (std::find(other.names.begin(), other.names.end(), name(first)) == other.names.end()) continue;
    other.waiting.push_back(std::move(sequence));
    return true;
  }
  std::uint32_t end = first;
  while (end < whole && disk_->holds(name(end))) ++end;
  disk_->count_misses(whole - end);
  if (end == first) return false;

  Fetch begun(new_pages(*sequence->request));
  bool ok = true;
  copy(begun.pages.adopt(sequence->tokens, first * kPageTokens, ok));
  // Running sequences keep a page each to grow into.
  const std::uint32_t spare =
      pool_.available() -
      std::min<std::uint32_t>(pool_.available(), static_cast<std::uint32_t>(running_.size()) + 1);
  end = std::min(end, first + spare);
  if (end == first) return false;
  const FetchChoice choice = choose_fetch(
      disk_->read_seconds((end - first) * std::uint64_t{layer_page_bytes()} * layers()), first * kPageTokens,
      (end - first) * kPageTokens, std::min(options_.chunk, options_.token_budget), scheduler_.model());
  if (!choice.read) {
    disk_->forgive();
    return false;
  }
  if (!begun.pages.reserve(end * kPageTokens)) return false;
  for (std::uint32_t page = first; page < end; ++page) begun.names.push_back(name(page));
  begun.ticket = disk_->read(begun.names);
  begun.deadline = clock_.now() + choice.patience;
  begun.tokens.assign(sequence->tokens.begin(), sequence->tokens.begin() + std::ptrdiff_t{end} * kPageTokens);
  begun.waiting.push_back(std::move(sequence));
  fetching_.push_back(std::move(begun));
  return true;
}

/// Takes what came, and lets those go on that have waited enough.
void EngineImpl::advance_fetches(StepOutput& out) {
  if (disk_ == nullptr) return;
  while (const auto arrived = disk_->take()) {
    const auto at = std::find_if(fetching_.begin(), fetching_.end(),
                                 [&](const Fetch& f) { return f.ticket == arrived->ticket; });
    if (at != fetching_.end()) land(*at, *arrived);
    disk_->recycle(*arrived);
    out.pages_moved += 1;
  }
  const TimePoint now = clock_.now();
  for (auto it = fetching_.begin(); it != fetching_.end();) {
    const auto current = it++;
    if (current->complete() || current->failed || current->waiting.empty() || now >= current->deadline)
      end_fetch(current, true);
  }
}

void EngineImpl::land(Fetch& fetch, const kv::disk::DiskTier::Arrived& arrived) {
  if (!arrived.ok) {
    fetch.failed = true;
    return;
  }
  const std::uint32_t begin = fetch.pages.length();
  copy(fetch.pages.append(std::span(fetch.tokens).subspan(begin, kPageTokens)));
  const std::uint32_t page = fetch.pages.pages()[begin / kPageTokens];
  const std::size_t bytes = layer_page_bytes();
  for (std::uint32_t layer = 0; layer < layers(); ++layer)
    runner_->import_page(layer, page, arrived.kv.subspan(layer * bytes, bytes));
  fetch.pages.computed(begin + kPageTokens);
  progress_.fetch_add(1, std::memory_order_relaxed);
}

/// What came is cached; who waited finds it there. When all came, those whose prompt goes on elsewhere may
/// wait again (`more`), but for the first one: so nobody waits for ever.
void EngineImpl::end_fetch(std::list<Fetch>::iterator at, bool more) {
  if (!at->complete()) disk_->cancel(at->ticket);
  more &= at->complete();
  std::vector<SequencePtr> waiting = std::move(at->waiting);
  fetching_.erase(at);
  for (std::size_t i = 0; i < waiting.size(); ++i)
    i != 0 && more ? arrive(std::move(waiting[i])) : enqueue(std::move(waiting[i]));
}

/// Pages that are waited for go to those that run. false: none are.
bool EngineImpl::yield_fetch() {
  if (fetching_.empty()) return false;
  end_fetch(std::prev(fetching_.end()), false);  // or they would take the same pages again
  return true;
}

std::uint32_t EngineImpl::waiting_for_disk() const {
  std::size_t count = 0;
  for (const Fetch& fetch : fetching_) count += fetch.waiting.size();
  return static_cast<std::uint32_t>(count);
}

void EngineImpl::on_ready(std::function<void()> wake) {
  if (disk_ != nullptr) disk_->on_news(std::move(wake));
}

std::vector<BlockKey> EngineImpl::disk_blocks() const {
  return disk_ == nullptr ? std::vector<BlockKey>() : disk_->stored_keys();
}

}  // namespace troupe::engine
