#pragma once
// Brings whole pages of the pool to the disk tier: when they are released, a few a step, and at the latest
// when their place is given away.
#include <cstdint>
#include <vector>

#include "common/engine/model_runner.hpp"
#include "common/kv/disk/disk_tier.hpp"
#include "common/kv/page_pool.hpp"

namespace troupe::engine {

/// Watches the pool from its making to its end. Threads: the engine's. Cost: a copy of the page's KV where
/// one is stored; nothing is allocated.
class WriteBack final : public PageWatcher {
 public:
  WriteBack(PagePool& pool, const ModelRunner& runner, kv::disk::DiskTier& disk, kv::disk::WriteWhen when);
  ~WriteBack() override { pool_.watch(nullptr); }
  WriteBack(const WriteBack&) = delete;
  WriteBack& operator=(const WriteBack&) = delete;

  void cached(std::uint32_t page) override;
  void evicting(std::uint32_t page) override { (void)store(page); }

  /// Copies up to `most` released pages to the tier, while it takes some; returns how many.
  std::uint32_t advance(std::uint32_t most);
  /// advance() would do something.
  [[nodiscard]] bool has_work() const { return count_ != 0 && disk_.can_store(); }
  /// Before the process ends: writes what is released, for about as long as `limit`.
  void flush(Duration limit);

 private:
  bool store(std::uint32_t page);

  PagePool& pool_;
  const ModelRunner& runner_;
  kv::disk::DiskTier& disk_;
  const bool on_release_;
  std::vector<std::uint32_t> released_;  // a ring; each page once
  std::vector<bool> queued_;             // by page
  std::size_t first_ = 0, count_ = 0;
};

}  // namespace troupe::engine
