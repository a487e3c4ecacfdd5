#pragma once
// Who is there, by a directory: one process enters a roster and stays in it while it lives, others follow who
// is in.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/directory/directory.hpp"

namespace troupe::directory {

/// A thread that asks every third of a lease, or every second. A directory that is away changes nothing: who
/// was known stays known, and a member's lease is renewed when it is back. Threads: any.
class Roster {
 public:
  using Changed = std::function<void(const Members&)>;

  Roster(std::unique_ptr<Directory> directory, std::string name, Duration lease);
  ~Roster();  ///< a member's lease runs out
  Roster(const Roster&) = delete;
  Roster& operator=(const Roster&) = delete;

  /// Once.
  void enter(std::string member, std::string value);
  /// Calls `changed` whenever another list than the last one, and not an empty one, is read; as a directory
  /// answers: it must not block. Once.
  void follow(Changed changed);

 private:
  void run();
  void take(const Members& members);

  const std::string name_;
  const Duration lease_;
  std::unique_ptr<Directory> directory_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::string member_, value_;
  Changed changed_;
  Members last_;
  std::thread thread_;
};

}  // namespace troupe::directory
