#pragma once
// What the processes of a cluster know together and none of them owns: values under names, each with an end.
// It is a memory aid, never a precondition: whoever calls it goes on when it does not answer.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.hpp"
#include "common/directory/keys.hpp"

namespace troupe::directory {

/// The value, or none.
using Got = std::function<void(Expected<std::optional<std::string>>)>;
/// (member, value), in the order of the names.
using Members = std::vector<std::pair<std::string, std::string>>;
using Listed = std::function<void(Expected<Members>)>;

struct DirectoryStats {
  bool reachable = true;
  std::uint64_t calls = 0;
  std::uint64_t failures = 0;  ///< calls that were answered with an error
  std::uint64_t losses = 0;    ///< connections that ended, or could not be made
  std::size_t waiting = 0;     ///< calls without an answer yet
};

/// Every call is answered once: by the directory's own thread, or before the call returns. Answers must not
/// block; they may call again. Calls of one thread take effect in their order. Threads: any.
/// Errors of every call: peer_lost (not reachable now), deadline_exceeded, queue_full, io_failed (it
/// refuses).
class Directory {
 public:
  virtual ~Directory() = default;  ///< answers what is open with `cancelled`
  /// Sets a value, also over another. Answers none.
  virtual void put(const Key& key, std::string value, Got done) = 0;
  /// Sets a value unless there is one. Answers the value that stands now: the caller's, or another's.
  virtual void claim(const Key& key, std::string value, Got done) = 0;
  virtual void get(const std::string& name, Got done) = 0;
  virtual void erase(const std::string& name, Got done) = 0;
  /// Becomes, or stays, a member of `roster` until `lease` has passed.
  virtual void enter(std::string_view roster, std::string_view member, std::string value, Duration lease,
                     Got done) = 0;
  virtual void list(std::string_view roster, Listed done) = 0;
  /// Answers what is open with `cancelled`, and whatever comes later at once; no answer runs on another thread
  /// afterwards. Not from an answer.
  virtual void close() = 0;
  [[nodiscard]] virtual DirectoryStats stats() const = 0;
};

}  // namespace troupe::directory
