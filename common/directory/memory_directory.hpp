#pragma once
// The directory of a cluster that is one process, and of a gateway whose Redis is away: a bounded table.
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "common/directory/directory.hpp"

namespace troupe::directory {

/// Answers before its calls return. Over the bound the values that end soonest go first. Threads: any.
class MemoryDirectory final : public Directory {
 public:
  /// `max_bytes` counts names and values. `clock` must outlive it.
  MemoryDirectory(const Clock& clock, std::size_t max_bytes) : clock_(clock), max_bytes_(max_bytes) {}

  void put(const Key& key, std::string value, Got done) override;
  void claim(const Key& key, std::string value, Got done) override;
  void get(const std::string& name, Got done) override;
  void erase(const std::string& name, Got done) override;
  void enter(std::string_view roster, std::string_view member, std::string value, Duration lease,
             Got done) override;
  void list(std::string_view roster, Listed done) override;
  void close() override {}  // every answer has been given
  [[nodiscard]] DirectoryStats stats() const override;

  [[nodiscard]] std::size_t bytes() const;

  // The same without the way through an answer.
  [[nodiscard]] std::optional<std::string> find(const std::string& name);
  void set(const Key& key, std::string value);

 private:
  struct Entry {
    std::string value;
    TimePoint ends;
  };
  using Entries = std::map<std::string, Entry>;

  void drop_ended();
  void remove(Entries::iterator at);
  void store(const Key& key, std::string value);

  const Clock& clock_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::set<std::pair<TimePoint, std::string>> ends_;
  std::size_t bytes_ = 0;
  std::uint64_t calls_ = 0;
};

}  // namespace troupe::directory
