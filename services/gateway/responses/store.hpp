#pragma once
// Responses that clients may ask for again and go on from: in this gateway's table, and in the directory that
// gateways share.
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/directory/memory_directory.hpp"

namespace troupe::gateway::responses {

struct StoreOptions {
  Duration time = std::chrono::hours(24);  ///< a response lives, from its end on
  std::size_t most_bytes = 32U << 20;      ///< of what this gateway keeps, here and in the directory
  std::size_t max_bytes = 4U << 20;        ///< a longer response is not stored
};

/// Values by a response's id; over the bound the oldest of this gateway's go. What the directory has is what
/// counts, so that what was deleted at one gateway is gone at the others; the table stands in while it is
/// away, and for what it did not take. Every answer comes once, from the directory's thread or before the
/// call returns. Threads: any.
class ResponseStore {
 public:
  using Got = std::function<void(Expected<std::optional<std::string>>)>;

  /// `shared` may be null: then there is the table alone. Both must outlive it.
  ResponseStore(const StoreOptions& options, const Clock& clock, directory::Directory* shared)
      : options_(options), clock_(clock), table_(clock, 2 * options.most_bytes + kSlack), shared_(shared) {}

  [[nodiscard]] bool fits(std::size_t bytes) const { return bytes <= options_.max_bytes; }
  /// `done` runs when it is as safe as it will be.
  void put(const RequestId& id, std::string value, std::function<void()> done);
  /// Nothing: there is none, or no more. Errors: the directory's, where the table has none either.
  void get(const RequestId& id, Got done);
  /// Errors: the directory's; then others may still find it.
  void erase(const RequestId& id, std::function<void(Expected<void>)> done);

 private:
  struct Own {
    bool shared = false;  ///< the directory took it, so where it is not any more it was deleted
    std::string value;
  };
  struct Kept {
    RequestId id;
    std::size_t bytes = 0;
    TimePoint ends;
  };
  [[nodiscard]] std::optional<Own> own(const std::string& name);
  void forget(const std::string& name);
  [[nodiscard]] std::vector<RequestId> make_room(const RequestId& id, std::size_t bytes);
  void uncount(const RequestId& id);

  /// The table counts names as well; what goes is said by kept_.
  static constexpr std::size_t kSlack = 1U << 20;

  const StoreOptions options_;
  const Clock& clock_;
  directory::MemoryDirectory table_;
  directory::Directory* const shared_;

  std::mutex mutex_;
  std::deque<Kept> kept_;  ///< of this gateway, the oldest first
  std::size_t kept_bytes_ = 0;
};

}  // namespace troupe::gateway::responses
