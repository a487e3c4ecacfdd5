#include "services/gateway/shared_dispatcher.hpp"

#include <algorithm>
#include <utility>

namespace troupe::gateway {

/// One computation: what it has said so far, and who listens.
class SharedDispatcher::Live final : public AnswerSink, public std::enable_shared_from_this<Live> {
 public:
  Live(std::shared_ptr<Table> table, const GenerateJob& job)
      : share(job.share), upstream(job.id), table_(std::move(table)), choices_(job.choices) {}

  const RequestId share;
  const RequestId upstream;  ///< the id under which it is computed

  /// false: it is over, and whoever comes now is too late.
  bool listen(const RequestId& id, const std::shared_ptr<AnswerSink>& sink) {
    const std::lock_guard lock(mutex_);
    if (over_) return false;
    listeners_.emplace_back(id, sink);
    if (!started_) return true;
    sink->on_start(start_);
    for (std::uint32_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      if (choice.score) sink->on_score(i, *choice.score);
      if (!choice.tokens.empty() || choice.finish != FinishReason::none)
        sink->on_tokens(i, choice.tokens, choice.finish);
    }
    return true;
  }
  /// true: nobody listens any more.
  bool leave(const RequestId& id) {
    const std::lock_guard lock(mutex_);
    std::erase_if(listeners_, [&](const auto& listener) { return listener.first == id; });
    over_ = over_ || listeners_.empty();
    return listeners_.empty();
  }
  /// It never came to run; whoever joined meanwhile learns it.
  void fail_others(const RequestId& but, const Error& error) {
    const std::lock_guard lock(mutex_);
    over_ = true;
    for (const auto& [id, sink] : std::exchange(listeners_, {}))
      if (id != but) sink->on_error(error);
  }

  void on_start(AnswerStart start) override {
    const std::lock_guard lock(mutex_);
    started_ = true;
    start_ = std::move(start);
    for (const auto& [id, sink] : listeners_) sink->on_start(start_);
  }
  void on_tokens(std::uint32_t choice, std::span<const GeneratedToken> tokens, FinishReason finish) override {
    const std::lock_guard lock(mutex_);
    if (choice < choices_.size()) {
      Choice& said = choices_[choice];
      said.tokens.insert(said.tokens.end(), tokens.begin(), tokens.end());
      if (finish != FinishReason::none) said.finish = finish;
    }
    for (const auto& [id, sink] : listeners_) sink->on_tokens(choice, tokens, finish);
  }
  void on_score(std::uint32_t choice, double score) override {
    const std::lock_guard lock(mutex_);
    if (choice < choices_.size()) choices_[choice].score = score;
    for (const auto& [id, sink] : listeners_) sink->on_score(choice, score);
  }
  void on_done(const DraftUsage& drafts) override {
    end([&](AnswerSink& sink) { sink.on_done(drafts); });
  }
  void on_error(const Error& error) override {
    end([&](AnswerSink& sink) { sink.on_error(error); });
  }

  /// Takes it out of the table; its mutex must be held.
  static void forget(Table& table, const std::shared_ptr<Live>& live) {
    if (const auto at = table.by_share.find(live->share); at != table.by_share.end() && at->second == live)
      table.by_share.erase(at);
    std::erase_if(table.by_listener, [&](const auto& entry) { return entry.second == live; });
  }

 private:
  struct Choice {
    std::vector<GeneratedToken> tokens;
    FinishReason finish = FinishReason::none;
    std::optional<double> score = {};
  };
  template <class Tell>
  void end(const Tell& tell) {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
      for (const auto& [id, sink] : std::exchange(listeners_, {})) tell(*sink);
    }
    const auto table = table_.lock();
    if (!table) return;
    const std::lock_guard lock(table->mutex);
    forget(*table, shared_from_this());
  }

  const std::weak_ptr<Table> table_;  // which holds this; gone when the edge ended first
  std::mutex mutex_;                  // held while listeners are told, so that a newcomer misses nothing
  std::vector<std::pair<RequestId, std::shared_ptr<AnswerSink>>> listeners_;
  AnswerStart start_;
  std::vector<Choice> choices_;
  bool started_ = false;
  bool over_ = false;
};

SharedDispatcher::SharedDispatcher(Dispatcher& inner) : inner_(inner), table_(std::make_shared<Table>()) {}

Expected<void> SharedDispatcher::start(GenerateJob job, std::shared_ptr<AnswerSink> sink) {
  if (job.share.is_zero()) return inner_.start(std::move(job), std::move(sink));
  const RequestId id = job.id;
  std::shared_ptr<Live> live;
  {
    const std::lock_guard lock(table_->mutex);
    std::shared_ptr<Live>& slot = table_->by_share[job.share];
    if (slot && slot->listen(id, sink)) {
      table_->by_listener[id] = slot;
      return {};
    }
    slot = live = std::make_shared<Live>(table_, job);
    (void)live->listen(id, sink);
    table_->by_listener[id] = live;
  }
  auto started = inner_.start(std::move(job), live);
  if (started) return started;
  live->fail_others(id, started.error());
  const std::lock_guard lock(table_->mutex);
  Live::forget(*table_, live);
  return started;
}

void SharedDispatcher::cancel(const RequestId& id) {
  RequestId upstream = id;
  {
    const std::lock_guard lock(table_->mutex);
    const auto at = table_->by_listener.find(id);
    if (at != table_->by_listener.end()) {
      const std::shared_ptr<Live> live = at->second;
      table_->by_listener.erase(at);
      if (!live->leave(id)) return;
      upstream = live->upstream;
      Live::forget(*table_, live);
    }
  }
  inner_.cancel(upstream);
}

}  // namespace troupe::gateway
