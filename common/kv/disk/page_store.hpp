#pragma once
// Pages on disk, found by key, within a number of bytes: a log of segments. Plain logic over a Folder; the
// thread around it is DiskTier.
//
// What goes when room is needed: the segment that was read longest ago, whole, so that the disk sees nothing
// but appends and unlinks (Rosenblum and Ousterhout 1992, without cleaning). Nothing is copied: a page that
// is still in memory then is written again when it is next released there.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/kv/disk/segment.hpp"

namespace troupe::kv::disk {

struct StoreOptions {
  std::uint64_t capacity_bytes = 0;
  /// Of one file; more where the capacity would give more than kMostSegments files, less where it would give
  /// fewer than kLeastSegments.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
};

/// What became findable and what went, in order.
struct StoreChange {
  BlockKey key;
  bool stored = true;
  std::optional<BlockOrigin> origin;  ///< of a stored one
};

/// Threads: one.
class PageStore {
 public:
  static constexpr std::uint64_t kMostSegments = 256;  ///< each holds a descriptor
  static constexpr std::uint64_t kLeastSegments = 4;   ///< so that eviction leaves most of what is there

  /// Opens what is there and keeps what is whole; removes files that are none of its format.
  /// Errors: io_failed; config_invalid (the capacity holds fewer than two pages).
  [[nodiscard]] static Expected<std::unique_ptr<PageStore>> open(std::unique_ptr<Folder> folder,
                                                                 const SegmentFormat& format,
                                                                 const StoreOptions& options);

  /// Whether a page with this key (its last block's) is here.
  [[nodiscard]] bool holds(const BlockKey& page) const { return pages_.contains(page); }
  /// Appends the page, if need be in the place of others. No-op when it is held. Errors: io_failed; the store
  /// is as before but for what was evicted.
  [[nodiscard]] Expected<void> put(const PageIdentity& page, std::span<const std::byte> kv);
  /// false: it is not here. Errors: io_failed, hash_mismatch; then the page is forgotten.
  [[nodiscard]] Expected<bool> get(const BlockKey& page, std::span<std::byte> kv);

  [[nodiscard]] std::size_t pages() const { return pages_.size(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  ///< of all files; never above the capacity
  [[nodiscard]] std::size_t segments() const { return segments_.size(); }
  [[nodiscard]] const SegmentFormat& format() const { return format_; }
  /// Pages that came or went since the last call, by key.
  [[nodiscard]] std::vector<StoreChange> take_page_changes() { return std::exchange(page_changes_, {}); }
  /// Blocks likewise: one that two pages hold is there until the second one goes.
  [[nodiscard]] std::vector<StoreChange> take_block_changes() { return std::exchange(block_changes_, {}); }

 private:
  using Keys = std::array<BlockKey, kBlocksPerPage>;
  struct Held {
    Segment segment;
    std::unordered_map<std::uint32_t, Keys> pages;  // by slot
    std::uint64_t used = 0;
  };
  struct Place {
    std::uint64_t segment = 0;
    std::uint32_t slot = 0;
  };
  PageStore(std::unique_ptr<Folder> folder, const SegmentFormat& format, const StoreOptions& options);

  Expected<void> load();
  Expected<void> load_segment(const std::string& name, std::uint64_t number);
  void settle();
  [[nodiscard]] Expected<Held*> segment_with_room();
  [[nodiscard]] Expected<void> make_room(std::uint64_t bytes);
  [[nodiscard]] Expected<void> evict(std::uint64_t number);
  void note(std::uint64_t segment, std::uint32_t slot, const PageIdentity& page);
  void forget(Held& held, std::uint32_t slot);

  std::unique_ptr<Folder> folder_;
  SegmentFormat format_;
  std::uint64_t capacity_;
  std::uint32_t slots_per_segment_;
  std::map<std::uint64_t, Held> segments_;  // by number, which rises with age
  std::uint64_t active_ = 0;                // the one that is appended to; 0: none
  std::uint64_t next_number_ = 1;
  std::uint64_t bytes_ = 0, uses_ = 0;
  std::unordered_map<BlockKey, Place> pages_;
  std::unordered_map<BlockKey, std::uint32_t> blocks_;  // how many pages hold it
  std::vector<StoreChange> page_changes_, block_changes_;
};

}  // namespace troupe::kv::disk
