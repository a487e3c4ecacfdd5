#pragma once
// A Dispatcher that a test scripts: either answers every job by itself from a thread, or leaves jobs for the
// test to drive.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/gateway/dispatcher.hpp"

namespace troupe::test {

/// What a job gets: per choice its tokens and how it ends, delivered `batch` tokens at a time, choice by
/// choice in turn.
struct ScriptedAnswer {
  std::uint32_t cached_tokens = 0;
  std::vector<std::vector<GeneratedToken>> choices;
  FinishReason finish = FinishReason::stop;
  std::size_t batch = 1;
  std::vector<GeneratedToken> prompt_logprobs;
  std::optional<Error> error_at_start;       ///< answered by start()
  std::optional<Error> error_before_tokens;  ///< through the sink, before on_start
  std::optional<Error> error_after_tokens;   ///< through the sink, instead of on_done
  gateway::DraftUsage drafts = {};           ///< told at the end
  std::vector<double> scores = {};           ///< of the first choices
  std::vector<float> vector = {};            ///< in place of choices
};

struct OpenJob {
  gateway::GenerateJob job;
  std::shared_ptr<gateway::AnswerSink> sink;
};

class FakeDispatcher final : public gateway::Dispatcher {
 public:
  using Script = std::function<ScriptedAnswer(const gateway::GenerateJob&)>;

  FakeDispatcher() : thread_([this] { work(); }) {}
  ~FakeDispatcher() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void set_script(Script script) {
    const std::lock_guard lock(mutex_);
    script_ = std::move(script);
  }
  /// From now on jobs wait for next_job().
  void set_manual() { set_script(nullptr); }
  void set_models(std::vector<gateway::ServedModel> models) {
    const std::lock_guard lock(mutex_);
    models_ = std::move(models);
  }

  std::atomic<bool> converted_pages = false;  ///< said of every answer that begins

  /// Manual jobs, in order of arrival. Fails by returning an empty sink after 10 s.
  OpenJob next_job() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [&] { return !manual_.empty(); })) return {};
    OpenJob job = std::move(manual_.front());
    manual_.pop_front();
    return job;
  }
  bool wait_for_cancels(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return cancelled_.size() >= count; });
  }
  std::size_t cancels() const {
    const std::lock_guard lock(mutex_);
    return cancelled_.size();
  }
  std::vector<gateway::GenerateJob> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

  Expected<void> start(gateway::GenerateJob job, std::shared_ptr<gateway::AnswerSink> sink) override {
    const std::lock_guard lock(mutex_);
    seen_.push_back(job);
    if (!script_) {
      manual_.push_back({std::move(job), std::move(sink)});
    } else {
      ScriptedAnswer answer = script_(job);
      if (answer.error_at_start) return tl::unexpected<Error>(*answer.error_at_start);
      scripted_.push_back({std::move(job), std::move(sink), std::move(answer)});
    }
    changed_.notify_all();
    return {};
  }
  void cancel(const RequestId& id) override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_.insert(id);
    }
    changed_.notify_all();
  }
  std::vector<gateway::ServedModel> models() const override {
    const std::lock_guard lock(mutex_);
    return models_;
  }
  std::size_t in_flight() const override {
    const std::lock_guard lock(mutex_);
    return manual_.size() + scripted_.size();
  }

 private:
  struct Scripted {
    gateway::GenerateJob job;
    std::shared_ptr<gateway::AnswerSink> sink;
    ScriptedAnswer answer;
  };

  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !scripted_.empty(); });
      if (stopping_) return;
      Scripted work = std::move(scripted_.front());
      scripted_.pop_front();
      lock.unlock();
      play(work);
    }
  }

  bool is_cancelled(const RequestId& id) const {
    const std::lock_guard lock(mutex_);
    return cancelled_.contains(id);
  }

  void play(Scripted& work) {
    const ScriptedAnswer& answer = work.answer;
    if (answer.error_before_tokens) return work.sink->on_error(*answer.error_before_tokens);
    work.sink->on_start({answer.cached_tokens, answer.prompt_logprobs, converted_pages});
    if (!answer.vector.empty()) work.sink->on_vector(answer.vector);
    for (std::uint32_t i = 0; i < answer.scores.size(); ++i) work.sink->on_score(i, answer.scores[i]);
    std::vector<std::size_t> at(answer.choices.size(), 0);
    for (bool more = true; more;) {
      more = false;
      for (std::uint32_t choice = 0; choice < answer.choices.size(); ++choice) {
        const auto& tokens = answer.choices[choice];
        if (at[choice] >= tokens.size() || is_cancelled(work.job.id)) continue;
        const std::size_t count =
            std::min(std::max<std::size_t>(1, answer.batch), tokens.size() - at[choice]);
        const bool last = at[choice] + count == tokens.size() && !answer.error_after_tokens;
        work.sink->on_tokens(choice, std::span(tokens).subspan(at[choice], count),
                             last ? answer.finish : FinishReason::none);
        at[choice] += count;
        more = true;
      }
    }
    if (is_cancelled(work.job.id)) return;
    answer.error_after_tokens ? work.sink->on_error(*answer.error_after_tokens) : work.sink->on_done(answer.drafts);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Script script_;
  std::vector<gateway::ServedModel> models_;
  std::deque<OpenJob> manual_;
  std::deque<Scripted> scripted_;
  std::vector<gateway::GenerateJob> seen_;
  std::set<RequestId> cancelled_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::test
