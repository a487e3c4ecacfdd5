#include "common/kv/disk/page_store.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/log.hpp"

namespace troupe::kv::disk {
namespace {

constexpr std::string_view kSuffix = ".seg";

std::string name_of(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + std::string(kSuffix);
}

std::optional<std::uint64_t> number_of(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) return std::nullopt;
  return number;
}

std::uint32_t slots_for(const SegmentFormat& format, const StoreOptions& options) {
  const std::uint64_t bytes =
      std::min(std::max(options.segment_bytes, options.capacity_bytes / PageStore::kMostSegments),
               options.capacity_bytes / PageStore::kLeastSegments);
  const std::uint64_t around = kSegmentHeaderBytes + kSealBytes;
  const std::uint64_t slots = bytes > around ? (bytes - around) / record_bytes(format) : 0;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(slots, 1, UINT32_MAX));
}

}  // namespace

PageStore::PageStore(std::unique_ptr<Folder> folder, const SegmentFormat& format, const StoreOptions& options)
    : folder_(std::move(folder)),
      format_(format),
      capacity_(options.capacity_bytes),
      slots_per_segment_(slots_for(format, options)) {}

Expected<std::unique_ptr<PageStore>> PageStore::open(std::unique_ptr<Folder> folder,
                                                     const SegmentFormat& format,
                                                     const StoreOptions& options) {
  const std::uint64_t least = 2 * (kSegmentHeaderBytes + record_bytes(format) + kSealBytes);
  if (format.page_bytes == 0 || options.capacity_bytes < least)
    return fail(Errc::config_invalid, "a capacity of " + std::to_string(options.capacity_bytes) +
                                          " bytes, two pages need " + std::to_string(least));
  std::unique_ptr<PageStore> store(new PageStore(std::move(folder), format, options));
  TROUPE_TRY(store->load());
  return store;
}

Expected<void> PageStore::load() {
  const auto names = folder_->list();
  if (!names) return tl::unexpected<Error>(names.error());
  std::map<std::uint64_t, std::string> files;
  for (const std::string& name : *names)
    if (const auto number = number_of(name)) files[*number] = name;
  for (const auto& [number, name] : files) {
    next_number_ = number + 1;
    TROUPE_TRY(load_segment(name, number));
  }
  settle();
  return make_room(0);
}

/// Takes in one file; removes it when nothing in it can be used.
Expected<void> PageStore::load_segment(const std::string& name, std::uint64_t number) {
  auto file = folder_->open(name);
  if (!file) return tl::unexpected<Error>(file.error());
  std::vector<Segment::Found> found;
  auto segment = Segment::open(std::move(*file), format_, found);
  if (!segment && segment.error().code != Errc::file_malformed) return tl::unexpected<Error>(segment.error());
  if (!segment) log::warn("a KV segment was dropped", {{"file", name}, {"reason", segment.error().detail}});
  if (!segment || found.empty()) return folder_->remove(name);
  bytes_ += segment->bytes();
  segments_.emplace(number, Held{std::move(*segment), {}, ++uses_});
  for (const Segment::Found& one : found) note(number, one.slot, one.page);
  return {};
}

/// The youngest unsealed segment is appended to again; earlier ones are sealed, which may fail: then they are
/// checked again next time.
void PageStore::settle() {
  for (auto& [number, held] : segments_) {
    if (held.segment.sealed()) continue;
    const bool youngest = number == segments_.rbegin()->first;
    if (youngest && held.segment.slots() < slots_per_segment_) {
      active_ = number;
    } else if (held.segment.seal()) {
      bytes_ += kSealBytes;
    }
  }
}

Expected<void> PageStore::put(const PageIdentity& page, std::span<const std::byte> kv) {
  if (holds(page.key())) return {};
  const auto held = segment_with_room();
  if (!held) return tl::unexpected<Error>(held.error());
  // Room for the seal too: sealing must not need any.
  TROUPE_TRY(make_room(record_bytes(format_) + kSealBytes));
  const auto slot = (*held)->segment.append(page, kv);
  if (!slot) return tl::unexpected<Error>(slot.error());
  bytes_ += record_bytes(format_);
  (*held)->used = ++uses_;
  note(active_, *slot, page);
  return {};
}

Expected<PageStore::Held*> PageStore::segment_with_room() {
  if (active_ != 0) {
    Held& held = segments_.at(active_);
    if (held.segment.slots() < slots_per_segment_) return &held;
    active_ = 0;
    if (auto sealed = held.segment.seal(); !sealed) return tl::unexpected<Error>(sealed.error());
    bytes_ += kSealBytes;
  }
  TROUPE_TRY(make_room(kSegmentHeaderBytes + record_bytes(format_) + kSealBytes));
  auto segment = Segment::create(*folder_, name_of(next_number_), format_);
  if (!segment) return tl::unexpected<Error>(segment.error());
  bytes_ += segment->bytes();
  active_ = next_number_++;
  return &segments_.emplace(active_, Held{std::move(*segment), {}, ++uses_}).first->second;
}

/// Evicts until `bytes` more fit.
Expected<void> PageStore::make_room(std::uint64_t bytes) {
  while (bytes_ + bytes > capacity_) {
    auto coldest = segments_.end();
    for (auto at = segments_.begin(); at != segments_.end(); ++at)
      if (at->first != active_ && (coldest == segments_.end() || at->second.used < coldest->second.used))
        coldest = at;
    if (coldest == segments_.end()) return fail(Errc::io_failed, "the capacity is below one segment");
    TROUPE_TRY(evict(coldest->first));
  }
  return {};
}

Expected<void> PageStore::evict(std::uint64_t number) {
  TROUPE_TRY(folder_->remove(name_of(number)));
  const auto at = segments_.find(number);
  while (!at->second.pages.empty()) forget(at->second, at->second.pages.begin()->first);
  bytes_ -= at->second.segment.bytes();
  segments_.erase(at);
  if (active_ == number) active_ = 0;
  return {};
}

Expected<bool> PageStore::get(const BlockKey& page, std::span<std::byte> kv) {
  const auto place = pages_.find(page);
  if (place == pages_.end()) return false;
  Held& held = segments_.at(place->second.segment);
  held.used = ++uses_;
  if (auto read = held.segment.read(place->second.slot, page, kv); !read) {
    forget(held, place->second.slot);
    return tl::unexpected<Error>(read.error());
  }
  return true;
}

void PageStore::note(std::uint64_t segment, std::uint32_t slot, const PageIdentity& page) {
  if (!pages_.try_emplace(page.key(), Place{segment, slot}).second)
    return;  // twice on disk: the older one serves
  segments_.at(segment).pages.emplace(slot, page.keys);
  page_changes_.push_back({page.key(), true, {}});
  std::optional<BlockKey> parent = page.parent;
  for (std::uint32_t block = 0; block < kBlocksPerPage; ++block) {
    const BlockKey& key = page.keys[block];
    if (++blocks_[key] == 1) {
      BlockOrigin origin{parent, {}};
      std::copy_n(page.tokens.begin() + block * kBlockTokens, kBlockTokens, origin.tokens.begin());
      block_changes_.push_back({key, true, origin});
    }
    parent = key;
  }
}

void PageStore::forget(Held& held, std::uint32_t slot) {
  const auto at = held.pages.find(slot);
  const Keys keys = at->second;
  held.pages.erase(at);
  pages_.erase(keys.back());
  page_changes_.push_back({keys.back(), false, {}});
  for (const BlockKey& key : keys) {
    const auto count = blocks_.find(key);
    if (--count->second != 0) continue;
    blocks_.erase(count);
    block_changes_.push_back({key, false, {}});
  }
}

}  // namespace troupe::kv::disk
