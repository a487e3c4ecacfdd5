#pragma once
// A generation under way: one job per prompt at the dispatcher, tokens back to text, the answer out. Tokens
// arrive on a thread of the dispatcher and are only queued there; all else happens on the connection's
// thread, so nothing here needs a lock but the queue.
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "services/gateway/answer_writer.hpp"
#include "services/gateway/call.hpp"
#include "services/gateway/choice_text.hpp"
#include "services/gateway/dispatcher.hpp"
#include "services/gateway/event_sequence.hpp"
#include "services/gateway/generate_request.hpp"
#include "services/gateway/model_table.hpp"

namespace troupe::gateway {

/// What ties a run to its record: the answer is that of the recorded request, whoever makes it and how often.
struct RecordedRun {
  RequestId id;
  std::int64_t created = 0;
  std::uint64_t from = 0;  ///< the first event to send
  bool kept = true;        ///< false: nothing is sent before record_kept()
  /// Cached tokens of the answer, given those counted here (RequestStore::agree_cached).
  std::function<void(std::uint64_t mine, std::function<void(std::uint64_t)> agreed)> agree_cached;
  /// Forgets the record: the request is refused and nobody can ask for its answer. May be empty.
  std::function<void()> drop;
};

/// A parsed request with its prompts as tokens and its lengths settled: what the text pool hands over.
struct PreparedRun {
  GenerateRequest request;
  std::shared_ptr<const ModelText> model;
  ServedModel served;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::uint32_t> max_tokens;  ///< per prompt; 0: the prompt alone is wanted
  std::optional<RecordedRun> recorded;    ///< none: nobody can ask for this answer again
  AnswerReader::Options reader;           ///< chat: what is looked for in the text
  std::vector<TokenId> shown;             ///< control tokens that are part of the text
  AnswerForm form = {};
};

class GenerateRun : public std::enable_shared_from_this<GenerateRun> {
 public:
  GenerateRun(Call call, PreparedRun prepared, Dispatcher& dispatcher, std::optional<TimePoint> deadline);

  /// Starts the jobs. Threads: the connection's.
  void start();
  /// The record is where it should be: the answer may begin. Threads: any.
  void record_kept();

 private:
  enum class EventKind : std::uint8_t { started, drafted, tokens, score, done, failed, agreed, kept };
  struct Event {
    EventKind kind = EventKind::done;
    std::size_t job = 0;
    std::uint32_t choice = 0;
    std::uint64_t cached_tokens = 0;
    FinishReason finish = FinishReason::none;
    std::vector<GeneratedToken> tokens;
    std::optional<Error> error;
    bool converted_pages = false;
    DraftUsage drafts = {};
    double score = 0;
  };
  struct Choice {
    ChoiceText text;
    TextDelta all;  ///< of a whole answer
    std::optional<TimePoint> first_tokens, last_tokens;
    std::optional<double> score = {};
    std::uint32_t drafted = 0;      ///< of the tokens that come next
    bool cluster_finished = false;  ///< false after a stop string was found here: the cluster still generates
  };
  struct Job {
    RequestId id;
    std::size_t first_choice = 0;
    bool over = false;
    std::string prompt_logprobs = {};  ///< JSON, where they were asked for
  };
  class Sink;

  void make_choices();
  [[nodiscard]] Expected<void> dispatch(std::size_t job);
  void deliver(Event event);
  void drain();
  void handle(Event& event);
  void on_started(Event& event);
  void on_tokens(Event& event);
  void begin_choices(Event& event);
  [[nodiscard]] TextDelta echo(Event& event) const;
  void push_each(std::size_t index, const Event& event);
  void push(std::size_t index, std::span<const GeneratedToken> tokens, FinishReason finish);
  void agree_cached();
  void time_tokens(Choice& choice, std::size_t count);
  void count_finished(std::size_t job, const Choice& choice) const;
  void keep(std::size_t index, TextDelta delta);
  void flush();
  void close_job(std::size_t job);
  [[nodiscard]] ChoiceExtras extras_of(const Choice& choice) const;
  [[nodiscard]] ChoiceEnd end_of(std::size_t index) const;
  [[nodiscard]] bool job_finished(std::size_t job) const;
  [[nodiscard]] bool cluster_finished(std::size_t job) const;
  [[nodiscard]] std::span<const Choice> choices_of(std::size_t job) const;
  [[nodiscard]] std::vector<ChoiceResult> told_results();
  void finish_if_complete();
  void send_last();
  void fail_with(const Error& error);
  void drop_record();
  void client_gone();
  void tell_visit() const;
  void end(int status);
  void trace_end(int status, const Usage& used) const;
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] RunTimes times() const;

  Call call_;
  PreparedRun prepared_;
  Dispatcher& dispatcher_;
  const std::optional<TimePoint> deadline_;
  std::unique_ptr<AnswerWriter> writer_;
  EventSequence sequence_;
  std::vector<Choice> choices_;
  std::vector<Job> jobs_;
  std::string out_;
  std::string last_;  ///< the answer's last bytes, or all of them, until they may leave
  std::uint64_t cached_tokens_ = 0;
  DraftUsage drafts_;
  std::size_t started_jobs_ = 0;
  bool cached_agreed_ = false;  ///< nobody will report another number for this request
  bool streaming_ = false;      ///< the head has been sent
  bool first_token_ = true;
  TimePoint dispatched_{};  ///< the jobs were handed over
  TimePoint first_token_at_{}, last_token_at_{};
  bool composed_ = false;  ///< last_ is there
  bool over_ = false;

  std::mutex mutex_;
  std::vector<Event> queue_;
  bool drain_posted_ = false;
  bool held_ = false;  ///< until the record is kept
  bool drop_when_kept_ = false;
};

}  // namespace troupe::gateway
