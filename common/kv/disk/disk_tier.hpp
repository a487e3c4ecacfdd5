#pragma once
// The tier below an engine's pages: a PageStore, a thread that does its input and output, and bounded buffers
// between the two. Nothing the engine calls here waits for a disk.
//
//   engine: store(page) --copy--> [write buffers] --thread--> PageStore     no buffer free: the page is
//   dropped
//           read(keys)  ------> thread --> [read buffers] --take()--> engine, in order; then recycle()
//
// It is a cache: whatever fails costs computing, never an answer. A disk that is full or refuses to be
// written to pauses the writing for a while, then what was queued is tried again; what cannot be read is a miss.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/kv/disk/page_store.hpp"

namespace troupe::kv::disk {

/// When a page in memory is written.
enum class WriteWhen : std::uint8_t {
  released,  ///< when its last sequence ends, or at eviction if that comes first: a killed process leaves
             ///< most of it
  evicted,   ///< only when memory needs its place: fewest writes
};

struct TierOptions {
  std::string path;  ///< empty: no tier. Below it, models have a folder each
  std::uint64_t capacity_bytes = std::uint64_t{16} << 30;
  WriteWhen write = WriteWhen::released;
  std::uint64_t buffer_bytes = std::uint64_t{32}
                               << 20;         ///< memory for pages on their way, both ways; 4 pages at least
  Duration retry = std::chrono::seconds(30);  ///< how long a refused write pauses the writing
  std::uint64_t segment_bytes = StoreOptions{}.segment_bytes;
  /// How a model's folder is opened; tests give their own.
  std::function<Expected<std::unique_ptr<Folder>>(const std::string& parent)> folder = lock_folder;
};

struct TierStats {
  std::uint64_t pages = 0, bytes = 0;     ///< on disk
  std::uint64_t hits = 0;                 ///< pages read and handed over
  std::uint64_t misses = 0;               ///< pages that a prompt wanted and neither memory nor disk had
  std::uint64_t writes = 0, dropped = 0;  ///< pages; dropped: not written for want of a buffer or a disk
  std::uint64_t errors = 0;               ///< of the operating system, and damaged records
  std::uint64_t read_bytes = 0, written_bytes = 0;
  bool paused = false;  ///< nothing is written for now, or the tier could not be opened
};

/// Threads: one owner; stats() and the news callback aside. Nothing waits for the disk but open() and the
/// destructor, which writes what it was given unless writing pauses.
class DiskTier {
 public:
  using Ticket = std::uint64_t;

  /// Opens what earlier processes left for this model. Errors: those of Folder and PageStore.
  [[nodiscard]] static Expected<std::unique_ptr<DiskTier>> open(const TierOptions& options,
                                                                const SegmentFormat& format);
  ~DiskTier();
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  [[nodiscard]] bool holds(const BlockKey& page) const;

  /// Takes a copy of the page: `fill` gets page_bytes to write to. false: dropped. Held or queued already:
  /// true, and nothing is copied. Allocates nothing.
  template <class Fill>
  bool store(const PageIdentity& page, Fill&& fill) {
    const auto [taken, buffer] = begin_store(page.key());
    if (buffer != kNone) {
      fill(bytes_of(buffer));
      finish_store(page, buffer);
    }
    return taken;
  }
  /// A buffer is free and the disk takes writes.
  [[nodiscard]] bool can_store() const;

  /// Asks for pages; each comes by take(), in this order, until one fails.
  [[nodiscard]] Ticket read(std::span<const BlockKey> pages);
  /// What has not come is not read; what has come still must be recycled.
  void cancel(Ticket ticket);
  struct Arrived {
    Ticket ticket = 0;
    bool ok = false;                ///< false: no more of this ticket follow
    std::span<const std::byte> kv;  ///< until recycle()
    std::uint32_t buffer = 0;
  };
  [[nodiscard]] std::optional<Arrived> take();
  void recycle(const Arrived& arrived);
  /// What reading so many bytes takes from now on, behind what is asked for already, as measured so far.
  [[nodiscard]] double read_seconds(std::uint64_t bytes) const;

  /// A read was not asked for because of that: the measure returns towards the first guess, so that a disk
  /// that was slow once is tried again.
  void forgive();

  /// Blocks that became findable or went since the last call.
  [[nodiscard]] std::vector<StoreChange> take_changes();
  /// Every block that is findable now, in no order. Cost: O(blocks).
  [[nodiscard]] std::vector<BlockKey> stored_keys() const;
  /// take() or take_changes() has something.
  [[nodiscard]] bool has_news() const;
  /// `callback` runs on the tier's thread whenever there are news, or a buffer to store into is free again;
  /// it must not call back. An earlier one runs no more when this returns.
  void on_news(std::function<void()> callback);

  void count_misses(std::uint64_t pages);
  [[nodiscard]] TierStats stats() const;
  /// Returns once everything asked for is read, and written unless writing pauses.
  void drain();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct ReadJob {
    Ticket ticket = 0;
    BlockKey page;
  };
  struct WriteJob {
    PageIdentity page;
    std::uint32_t buffer = 0;
  };
  DiskTier(std::unique_ptr<PageStore> store, const TierOptions& options);

  [[nodiscard]] std::span<std::byte> bytes_of(std::uint32_t buffer);
  [[nodiscard]] std::pair<bool, std::uint32_t> begin_store(const BlockKey& page);
  void finish_store(const PageIdentity& page, std::uint32_t buffer);
  [[nodiscard]] bool paused() const { return paused_until_ && clock_.now() < *paused_until_; }

  void loop();
  void read_one(std::unique_lock<std::mutex>& lock);
  void write_one(std::unique_lock<std::mutex>& lock);
  void write_failed(const Error& error, TimePoint now);
  void learn(Duration time);
  void publish();
  void tell();

  const std::unique_ptr<PageStore> store_;  // the thread's
  const std::uint64_t page_bytes_;
  const Duration retry_;
  SteadyClock clock_;
  std::vector<std::byte> memory_;  // of all buffers

  mutable std::mutex mutex_;  // guards what follows; never held over input or output
  std::condition_variable wanted_, idle_;
  std::vector<std::uint32_t> free_reads_, free_writes_;
  std::deque<ReadJob> reads_;
  std::vector<WriteJob> writes_;  // a ring
  std::size_t first_write_ = 0, write_count_ = 0;
  std::deque<Arrived> arrived_;
  std::unordered_set<BlockKey> pages_, blocks_;  // what store_ holds
  std::vector<StoreChange> changes_;
  std::optional<TimePoint> paused_until_;
  double seconds_per_byte_;
  Ticket last_ticket_ = 0;
  Ticket reading_ = 0;  // whose page is being read; 0: none
  bool writing_ = false, stop_ = false;
  TierStats stats_;

  std::mutex news_mutex_;  // held while the callback runs
  std::function<void()> news_;

  std::thread thread_;
};

}  // namespace troupe::kv::disk
