#include "common/kv/disk/disk_tier.hpp"

#include <algorithm>

#include "common/base/log.hpp"

namespace troupe::kv::disk {
namespace {

constexpr std::uint64_t kLeastBuffers = 4, kMostBuffers = 64;
constexpr double kFirstRate = 200e6;  // bytes per second until measured: below what SSDs of today read

std::size_t buffers_for(const TierOptions& options, std::uint64_t page_bytes) {
  return static_cast<std::size_t>(std::clamp(options.buffer_bytes / page_bytes, kLeastBuffers, kMostBuffers));
}

}  // namespace

Expected<std::unique_ptr<DiskTier>> DiskTier::open(const TierOptions& options, const SegmentFormat& format) {
  auto folder = options.folder(options.path + "/" + to_hex(format.model));
  if (!folder) return tl::unexpected<Error>(folder.error());
  auto store = PageStore::open(std::move(*folder), format, {options.capacity_bytes, options.segment_bytes});
  if (!store) return tl::unexpected<Error>(store.error());
  return std::unique_ptr<DiskTier>(new DiskTier(std::move(*store), options));
}

DiskTier::DiskTier(std::unique_ptr<PageStore> store, const TierOptions& options)
    : store_(std::move(store)),
      page_bytes_(store_->format().page_bytes),
      retry_(options.retry),
      memory_(buffers_for(options, page_bytes_) * page_bytes_),
      seconds_per_byte_(1 / kFirstRate) {
  const auto buffers = static_cast<std::uint32_t>(buffers_for(options, page_bytes_));
  for (std::uint32_t i = 0; i < buffers; ++i) (i % 2 == 0 ? free_reads_ : free_writes_).push_back(i);
  writes_.resize(free_writes_.size());
  publish();
  thread_ = std::thread([this] { loop(); });
}

DiskTier::~DiskTier() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    reads_.clear();
  }
  wanted_.notify_one();
  thread_.join();
}

std::span<std::byte> DiskTier::bytes_of(std::uint32_t buffer) {
  return std::span(memory_).subspan(buffer * page_bytes_, page_bytes_);
}

bool DiskTier::holds(const BlockKey& page) const {
  const std::lock_guard lock(mutex_);
  return pages_.contains(page);
}

bool DiskTier::can_store() const {
  const std::lock_guard lock(mutex_);
  return !free_writes_.empty() && !paused();
}

/// Whether the page is or will be on disk, and the buffer to fill for that, if any.
std::pair<bool, std::uint32_t> DiskTier::begin_store(const BlockKey& page) {
  const std::lock_guard lock(mutex_);
  if (pages_.contains(page)) return {true, kNone};
  for (std::size_t i = 0; i < write_count_; ++i)
    if (writes_[(first_write_ + i) % writes_.size()].page.key() == page) return {true, kNone};
  if (free_writes_.empty() || paused()) {
    ++stats_.dropped;
    return {false, kNone};
  }
  const std::uint32_t buffer = free_writes_.back();
  free_writes_.pop_back();
  return {true, buffer};
}

void DiskTier::finish_store(const PageIdentity& page, std::uint32_t buffer) {
  {
    const std::lock_guard lock(mutex_);
    writes_[(first_write_ + write_count_++) % writes_.size()] = {page, buffer};
  }
  wanted_.notify_one();
}

DiskTier::Ticket DiskTier::read(std::span<const BlockKey> pages) {
  Ticket ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    ticket = ++last_ticket_;
    for (const BlockKey& page : pages) reads_.push_back({ticket, page});
  }
  wanted_.notify_one();
  return ticket;
}

void DiskTier::cancel(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  std::erase_if(reads_, [&](const ReadJob& job) { return job.ticket == ticket; });
}

std::optional<DiskTier::Arrived> DiskTier::take() {
  const std::lock_guard lock(mutex_);
  if (arrived_.empty()) return std::nullopt;
  const Arrived first = arrived_.front();
  arrived_.pop_front();
  stats_.hits += first.ok ? 1 : 0;
  return first;
}

void DiskTier::recycle(const Arrived& arrived) {
  {
    const std::lock_guard lock(mutex_);
    free_reads_.push_back(arrived.buffer);
  }
  wanted_.notify_one();
}

double DiskTier::read_seconds(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return static_cast<double>(reads_.size() * page_bytes_ + bytes) * seconds_per_byte_;
}

void DiskTier::forgive() {
  constexpr double kShare = 0.05;
  const std::lock_guard lock(mutex_);
  if (seconds_per_byte_ > 1 / kFirstRate) seconds_per_byte_ += kShare * (1 / kFirstRate - seconds_per_byte_);
}

std::vector<StoreChange> DiskTier::take_changes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(changes_, {});
}

std::vector<BlockKey> DiskTier::stored_keys() const {
  const std::lock_guard lock(mutex_);
  return {blocks_.begin(), blocks_.end()};
}

bool DiskTier::has_news() const {
  const std::lock_guard lock(mutex_);
  return !arrived_.empty() || !changes_.empty();
}

void DiskTier::on_news(std::function<void()> callback) {
  const std::lock_guard lock(news_mutex_);
  news_ = std::move(callback);
}

void DiskTier::count_misses(std::uint64_t pages) {
  const std::lock_guard lock(mutex_);
  stats_.misses += pages;
}

TierStats DiskTier::stats() const {
  const std::lock_guard lock(mutex_);
  TierStats out = stats_;
  out.paused = paused_until_.has_value();
  return out;
}

void DiskTier::drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] {
    return (reads_.empty() || free_reads_.empty()) && (write_count_ == 0 || paused()) && reading_ == 0 && !writing_;
  });
}

// ---- the thread ----

void DiskTier::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto can_read = [this] { return !reads_.empty() && !free_reads_.empty(); };
    const auto can_write = [this] { return write_count_ != 0 && !paused(); };
    const auto wake = [&] { return stop_ || can_read() || can_write(); };
    if (write_count_ != 0 && paused_until_) {
      wanted_.wait_until(lock, *paused_until_, wake);
    } else {
      wanted_.wait(lock, wake);
    }
    if (can_read()) {
      read_one(lock);  // somebody waits for it
    } else if (can_write()) {
      write_one(lock);
    } else if (stop_) {
      return;
    } else {
      continue;  // it woke a little before the pause ended
    }
    idle_.notify_all();
    lock.unlock();
    tell();
    lock.lock();
  }
}

void DiskTier::read_one(std::unique_lock<std::mutex>& lock) {
  const ReadJob job = reads_.front();
  reads_.pop_front();
  reading_ = job.ticket;
  const std::uint32_t buffer = free_reads_.back();
  free_reads_.pop_back();
  lock.unlock();
  const TimePoint started = clock_.now();
  const auto got = store_->get(job.page, bytes_of(buffer));
  const Duration time = clock_.now() - started;
  if (!got) log::warn("a KV page on disk cannot be read", {{"error", to_string(got.error())}});
  lock.lock();
  publish();
  reading_ = 0;
  const bool ok = got.value_or(false);
  if (ok) {
    stats_.read_bytes += page_bytes_;
    learn(time);
  } else {
    stats_.errors += got ? 0 : 1;
    std::erase_if(reads_, [&](const ReadJob& other) { return other.ticket == job.ticket; });
  }
  arrived_.push_back({job.ticket, ok, bytes_of(buffer), buffer});
}

void DiskTier::write_one(std::unique_lock<std::mutex>& lock) {
  const WriteJob job = writes_[first_write_];
  writing_ = true;
  lock.unlock();
  const auto put = store_->put(job.page, bytes_of(job.buffer));
  const TimePoint now = clock_.now();
  lock.lock();
  publish();
  writing_ = false;
  if (!put) return write_failed(put.error(), now);
  first_write_ = (first_write_ + 1) % writes_.size();  // only now: until it is held, it is queued
  --write_count_;
  free_writes_.push_back(job.buffer);
  ++stats_.writes;
  stats_.written_bytes += page_bytes_;
  if (!paused_until_) return;
  paused_until_.reset();
  log::info("KV pages are written to disk again");
}

/// What is queued waits, and this page is what tries the disk again: an idle worker learns of room too.
void DiskTier::write_failed(const Error& error, TimePoint now) {
  ++stats_.errors;
  if (!paused_until_)
    log::warn("KV pages cannot be written to disk, writing pauses", {{"error", to_string(error)}});
  paused_until_ = now + retry_;
}

/// Times are averaged, not rates: a stalled read counts for what it cost.
void DiskTier::learn(Duration time) {
  constexpr double kNewest = 0.25, kMostJump = 8;
  const double measured = std::chrono::duration<double>(time).count() / static_cast<double>(page_bytes_);
  seconds_per_byte_ += kNewest * (std::min(measured, kMostJump * seconds_per_byte_) - seconds_per_byte_);
}

/// Makes known what the store did last.
void DiskTier::publish() {
  for (const StoreChange& change : store_->take_page_changes())
    change.stored ? (void)pages_.insert(change.key) : (void)pages_.erase(change.key);
  for (StoreChange& change : store_->take_block_changes()) {
    change.stored ? (void)blocks_.insert(change.key) : (void)blocks_.erase(change.key);
    changes_.push_back(std::move(change));
  }
  stats_.pages = store_->pages();
  stats_.bytes = store_->bytes();
}

void DiskTier::tell() {
  const std::lock_guard lock(news_mutex_);
  if (news_) news_();
}

}  // namespace troupe::kv::disk
