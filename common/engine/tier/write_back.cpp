#include "common/engine/tier/write_back.hpp"

namespace troupe::engine {

WriteBack::WriteBack(PagePool& pool, const ModelRunner& runner, kv::disk::DiskTier& disk,
                     kv::disk::WriteWhen when)
    : pool_(pool),
      runner_(runner),
      disk_(disk),
      on_release_(when == kv::disk::WriteWhen::released),
      released_(pool.total()),
      queued_(pool.total()) {
  pool_.watch(this);
}

void WriteBack::cached(std::uint32_t page) {
  if (!on_release_ || queued_[page]) return;
  queued_[page] = true;
  released_[(first_ + count_++) % released_.size()] = page;
}

std::uint32_t WriteBack::advance(std::uint32_t most) {
  std::uint32_t stored = 0;
  while (stored < most && has_work()) {
    const std::uint32_t page = released_[first_];
    first_ = (first_ + 1) % released_.size();
    --count_;
    queued_[page] = false;
    // Whatever the page is now: if it was given away meanwhile, eviction has seen to what it was.
    stored += store(page) ? 1 : 0;
  }
  return stored;
}

/// false: the page is none to be stored, or was dropped.
bool WriteBack::store(std::uint32_t page) {
  const auto whole = pool_.whole_page(page);
  if (!whole) return false;
  const backend::KvLayout& layout = runner_.kv_layout();
  return disk_.store(*whole, [&](std::span<std::byte> to) {
    const std::size_t bytes = layout.layer_page_bytes();
    for (std::uint32_t layer = 0; layer < layout.layers; ++layer)
      runner_.export_page(layer, page, to.subspan(layer * bytes, bytes));
  });
}

void WriteBack::flush(Duration limit) {
  const SteadyClock clock;
  const TimePoint end = clock.now() + limit;
  while (advance(1) != 0 || count_ != 0) {
    if (clock.now() >= end) return;
    disk_.drain();  // a buffer is free again, unless writing pauses
    if (count_ != 0 && !disk_.can_store()) return;
  }
}

}  // namespace troupe::engine
