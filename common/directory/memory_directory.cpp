#include "common/directory/memory_directory.hpp"

namespace troupe::directory {

void MemoryDirectory::remove(Entries::iterator at) {
  bytes_ -= at->first.size() + at->second.value.size();
  ends_.erase({at->second.ends, at->first});
  entries_.erase(at);
}

void MemoryDirectory::drop_ended() {
  const TimePoint now = clock_.now();
  while (!ends_.empty() && ends_.begin()->first <= now) remove(entries_.find(ends_.begin()->second));
}

void MemoryDirectory::store(const Key& key, std::string value) {
  if (const auto at = entries_.find(key.name); at != entries_.end()) remove(at);
  const std::size_t bytes = key.name.size() + value.size();
  if (bytes > max_bytes_) return;  // it would push out everything and still not fit
  while (bytes_ + bytes > max_bytes_) remove(entries_.find(ends_.begin()->second));
  const TimePoint ends = clock_.now() + key.ttl;
  bytes_ += bytes;
  ends_.emplace(ends, key.name);
  entries_.emplace(key.name, Entry{std::move(value), ends});
}

std::optional<std::string> MemoryDirectory::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  drop_ended();
  const auto at = entries_.find(name);
  if (at == entries_.end()) return std::nullopt;
  return at->second.value;
}

void MemoryDirectory::set(const Key& key, std::string value) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  drop_ended();
  store(key, std::move(value));
}

void MemoryDirectory::put(const Key& key, std::string value, Got done) {
  set(key, std::move(value));
  done(std::nullopt);
}

void MemoryDirectory::claim(const Key& key, std::string value, Got done) {
  std::string holds;
  {
    const std::lock_guard lock(mutex_);
    ++calls_;
    drop_ended();
    const auto at = entries_.find(key.name);
    holds = at == entries_.end() ? value : at->second.value;
    if (at == entries_.end()) store(key, std::move(value));
  }
  done(std::move(holds));
}

void MemoryDirectory::get(const std::string& name, Got done) {
  done(find(name));
}

void MemoryDirectory::erase(const std::string& name, Got done) {
  {
    const std::lock_guard lock(mutex_);
    ++calls_;
    if (const auto at = entries_.find(name); at != entries_.end()) remove(at);
  }
  done(std::nullopt);
}

void MemoryDirectory::enter(std::string_view roster, std::string_view member, std::string value,
                            Duration lease, Got done) {
  put(member_key(roster, member, lease), std::move(value), std::move(done));
}

void MemoryDirectory::list(std::string_view roster, Listed done) {
  const std::string prefix = member_key(roster, "", {}).name;
  Members members;
  {
    const std::lock_guard lock(mutex_);
    ++calls_;
    drop_ended();
    for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at)
      members.emplace_back(at->first.substr(prefix.size()), at->second.value);
  }
  done(std::move(members));
}

DirectoryStats MemoryDirectory::stats() const {
  const std::lock_guard lock(mutex_);
  return {.calls = calls_};
}

std::size_t MemoryDirectory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace troupe::directory
