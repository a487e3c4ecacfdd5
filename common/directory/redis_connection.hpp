#pragma once
// One connection to a Redis (hiredis wall): commands in, answers out, from a thread of its own. It connects
// again with a growing pause; while it is away every call is answered at once, and a call that outlives its
// deadline ends the connection, since a Redis that stands still shows in no other way.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/directory/directory.hpp"
#include "common/directory/redis_address.hpp"

namespace troupe::directory {

struct RedisOptions {
  RedisAddress address;
  std::string password;
  Duration deadline = std::chrono::milliseconds(500);  ///< of a call, the connecting included
  Duration first_pause = std::chrono::milliseconds(100);
  Duration longest_pause = std::chrono::seconds(5);
  std::size_t max_calls = 4096;       ///< without an answer; over it queue_full
  std::size_t max_bytes = 64u << 20;  ///< of their commands
};

using RedisCommand = std::vector<std::string>;
/// What one command answered: nothing, a text or a number as text, or a list of them.
using RedisAnswer = std::vector<std::optional<std::string>>;
/// An answer per command. Errors: as Directory's; io_failed when Redis refused one of them.
using RedisDone = std::function<void(Expected<std::vector<RedisAnswer>>)>;

class RedisConnection {
 public:
  /// Returns at once and connects in its thread.
  [[nodiscard]] static std::unique_ptr<RedisConnection> open(RedisOptions options);
  virtual ~RedisConnection() = default;  ///< answers what is open with `cancelled`
  /// Sends the commands in one piece. `done` runs on the connection's thread, or before this returns.
  virtual void call(std::vector<RedisCommand> commands, RedisDone done) = 0;
  virtual void close() = 0;  ///< as Directory::close
  [[nodiscard]] virtual DirectoryStats stats() const = 0;
};

}  // namespace troupe::directory
