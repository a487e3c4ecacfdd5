#pragma once
// From a prepared request to a run, by way of its record. What can be asked for again is recorded first:
// streams, and whatever came with an idempotency key.
//
//   no key:  keep the record and start at once; the first byte waits for the record
//   a key:   first under it -> start;  came before -> 422 unless it is the same request, else its answer
//   again
#include <atomic>
#include <functional>
#include <memory>

#include "services/gateway/generate_run.hpp"
#include "services/gateway/request_store.hpp"
#include "services/gateway/shared_dispatcher.hpp"

namespace troupe::gateway {

inline constexpr std::size_t kMaxIdempotencyKey = 255;

/// A record's body as its client sent it, and the API that reads it: "" is OpenAI's chats and completions.
/// The name of another one stands before the body, with a line feed between; JSON cannot begin like that.
struct RecordedBody {
  std::string_view api, body;
};
[[nodiscard]] std::string recorded_body(std::string_view api, std::string body);
[[nodiscard]] RecordedBody split_body(const wire::RequestRecord& record);

class RunStarter {
 public:
  /// Prepares a recorded request anew and calls again(); runs on no thread that must not block.
  using Again = std::function<void(Call call, wire::RequestRecord record, std::uint64_t from)>;

  /// `requests` may be null: nothing is recorded. All three must outlive it.
  RunStarter(Dispatcher& dispatcher, RequestStore* requests, Duration deadline, Again prepare_again);

  /// Of runs from now on. Threads: any.
  void set_deadline(Duration deadline) { deadline_ = deadline; }
  /// Threads: the text pool's. `body` is what the client sent.
  void start(Call call, PreparedRun run, std::string body);
  /// The answer of `record`, from event `from` on. `run` was prepared from the record.
  void again(Call call, PreparedRun run, const wire::RequestRecord& record, std::uint64_t from);

 private:
  [[nodiscard]] bool records(const Call& call, const PreparedRun& run, const std::string& body) const;
  [[nodiscard]] RecordedRun ties(const wire::RequestRecord& record, std::uint64_t from, bool kept) const;
  void claim(Call call, PreparedRun run, wire::RequestRecord record);
  std::shared_ptr<GenerateRun> launch(Call call, PreparedRun run);

  SharedDispatcher dispatcher_;
  RequestStore* const requests_;
  std::atomic<Duration> deadline_;  ///< of a run, from its request's arrival
  const Again prepare_again_;
};

}  // namespace troupe::gateway
