#pragma once
// Where requests wait for their grammar: compiled on a thread of its own, so that neither the actor nor a
// step does. Commands that bring none never come here.
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/grammar/grammar_cache.hpp"
#include "common/worker/commands.hpp"

namespace troupe::worker {

/// Threads: any. What waits is bounded by the streams that its worker holds.
class GrammarDesk {
 public:
  /// `forward` hands a command to an engine; it may be called by take()'s caller or by this object's thread,
  /// until the destructor returns. A vocabulary may be null: grammars are refused there.
  GrammarDesk(std::vector<std::shared_ptr<const grammar::TokenTrie>> vocabularies,
              std::function<void(std::size_t engine, Command)> forward);
  ~GrammarDesk();
  GrammarDesk(const GrammarDesk&) = delete;
  GrammarDesk& operator=(const GrammarDesk&) = delete;

  /// Keeps a Submit or ReserveImport that brings a grammar, and forwards it compiled, or a Reject in its
  /// place. Lets go of it when its CancelRequest comes by. false: the command is the caller's to forward.
  bool take(std::size_t engine, Command& command);

 private:
  struct Job {
    std::size_t engine = 0;
    RequestId id;
    grammar::Source source;
    Command command;
  };
  void loop();
  [[nodiscard]] Command compiled(Job job);

  std::vector<std::unique_ptr<grammar::GrammarCache>> caches_;  // the thread's own; null: no vocabulary
  const std::function<void(std::size_t engine, Command)> forward_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Job> waiting_;
  std::optional<RequestId> current_;  // being compiled, and not cancelled
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace troupe::worker
