#pragma once
// A draft model and the texts it is drafting on: a session for each sequence of each target engine, with KV
// pages of its own. Whatever sessions want in a pass, the end of a text or the next guess, is computed as one
// ragged batch.
//
//   order(told, wanted) ──> session: text, pages ──┐
//   order(told, wanted) ──> session: text, pages ──┴─ step(): one pass of the model ──> guesses ──>
//   take_answers()
//
// Sessions are a cache: bounded, dropped when pages or places run out, the one used longest ago first, and
// when their lease ends. An order to a session that is gone, or holds another text, is answered with `lost`,
// and the whole text comes again.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/engine/model_runner.hpp"
#include "common/kv/sequence_pages.hpp"
#include "common/speculation/draft_source.hpp"

namespace troupe::draft {

/// A sequence of somebody's engine.
struct SessionKey {
  NodeId client;
  std::uint64_t session = 0;
  auto operator<=>(const SessionKey&) const = default;
};

struct HostOptions {
  std::uint32_t pass_rows = 256;  ///< rows of a pass at most
  std::uint32_t max_sessions = 256;
  std::uint64_t kv_bytes = 0;                 ///< of all sessions' pages; must hold two
  Duration lease = std::chrono::seconds(30);  ///< of a session that nobody uses
};

/// speculation::DraftOrder of one of many clients.
struct HostOrder {
  SessionKey session;
  std::uint32_t round = 0;
  std::uint32_t held = 0;
  std::uint64_t held_hash = 0;
  std::vector<TokenId> tokens;
  std::uint32_t wanted = 0;  ///< 0: a further part of the text follows
  TimePoint deadline = TimePoint::max();
};

inline constexpr std::uint32_t kMostWanted = 64;  ///< guesses that one order gets at most

struct HostAnswer {
  SessionKey session;
  speculation::DraftAnswer answer;
};

struct HostStats {
  std::uint64_t orders = 0, guesses = 0, passes = 0, rows = 0;
  std::uint64_t lost = 0, refused = 0, late = 0;  ///< orders; late ones passed their deadline here
  std::uint64_t replaced = 0;                     ///< orders that a later one of their session overtook
  std::uint64_t evicted = 0, expired = 0;         ///< sessions
  std::uint32_t sessions = 0, working = 0;        ///< now; with an order
  std::uint32_t pages_total = 0, pages_free = 0;
};

/// Guesses are the model's arg-max, their confidence its probability among the best few tokens. Threads: one
/// owner. No clock: times are told.
class DraftHost {
 public:
  /// Loads the weights. Errors: does_not_fit, file_*.
  [[nodiscard]] static Expected<std::unique_ptr<DraftHost>> create(
      std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend,
      const HostOptions& options, const std::function<void(double)>& on_load = {});
  ~DraftHost();

  /// Answered by take_answers() at once or after steps; not at all when a later order of the session comes
  /// first, or when nothing is wanted yet.
  void order(HostOrder order, TimePoint now);
  void forget(const SessionKey& session);
  void forget_client(const NodeId& client);
  /// Ends what is due and computes one pass, at most `pass_rows` rows. Cost: a pass.
  void step(TimePoint now);
  [[nodiscard]] bool has_work() const { return working_ != 0; }
  [[nodiscard]] std::vector<HostAnswer> take_answers() { return std::exchange(answers_, {}); }
  [[nodiscard]] std::uint32_t context_length() const { return context_; }
  [[nodiscard]] std::uint32_t vocab() const { return model_->config().vocab; }
  [[nodiscard]] const Model& model() const { return *model_; }
  /// For the one thread that will call step() for long; may be null.
  [[nodiscard]] std::unique_ptr<backend::ThreadHold> hold_thread() { return backend_->hold_thread(); }
  [[nodiscard]] HostStats stats() const;

 private:
  struct Job {
    std::uint32_t round = 0, position = 0, wanted = 0;
    TimePoint deadline;
    std::uint64_t ticket = 0;  ///< in the order they came
    std::vector<speculation::Guess> guesses;
  };
  struct Session {
    explicit Session(SequencePages empty) : pages(std::move(empty)) {}
    SequencePages pages;        ///< KV of the leading tokens of `text`
    std::vector<TokenId> text;  ///< told, then guessed
    std::optional<Job> job;
    TimePoint used{};
  };
  using Sessions = std::map<SessionKey, Session>;
  struct Share {
    Session* session;
    std::uint32_t begin, rows;
  };

  DraftHost(std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend,
            const HostOptions& options, std::unique_ptr<engine::ModelRunner> runner);
  [[nodiscard]] bool valid(const HostOrder& order) const;
  [[nodiscard]] Sessions::iterator session_of(const HostOrder& order);
  void answer(const SessionKey& session, std::uint32_t round, speculation::DraftAnswer::Kind kind);
  void finish(const SessionKey& key, Session& session);
  void end_job(Session& session);
  Sessions::iterator drop(Sessions::iterator session);
  bool evict_idle();
  void expire(TimePoint now);
  [[nodiscard]] std::vector<Sessions::iterator> by_turn();
  [[nodiscard]] std::vector<Share> plan();
  [[nodiscard]] bool reserve(Session& session, std::uint32_t length);
  void compute(const std::vector<Share>& shares);
  static speculation::Guess guess_of(std::span<const backend::Scored> best);

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<backend::Backend> backend_;
  const HostOptions options_;
  const std::unique_ptr<engine::ModelRunner> runner_;
  PagePool pool_;
  const std::uint32_t context_;
  Sessions sessions_;
  std::uint32_t working_ = 0;  ///< sessions with a job
  std::uint64_t tickets_ = 0;
  engine::StepBatch batch_;
  std::vector<HostAnswer> answers_;
  HostStats stats_;
};

}  // namespace troupe::draft
