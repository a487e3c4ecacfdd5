#include "common/encoder/encoder_engine.hpp"

#include <algorithm>
#include <atomic>
#include <list>
#include <utility>
#include <vector>

#include "common/engine/hidden_pool.hpp"

namespace troupe::encoder {
namespace {

using engine::EngineStats;
using engine::Request;
using engine::StepOutput;
using engine::TokenEvent;

tl::unexpected<Error> no_pages() {
  return fail(Errc::invalid_argument, "an encoder has no KV pages");
}

class EncoderEngine final : public engine::Engine {
 public:
  EncoderEngine(std::unique_ptr<Bert> bert, std::shared_ptr<backend::Backend> backend,
                const EncoderOptions& options, const Clock& clock)
      : bert_(std::move(bert)),
        backend_(std::move(backend)),
        options_(options),
        clock_(clock),
        model_id_(bert_->file().id(kEncoderNumerics)) {}

  const Model& model() const override {
    detail::check_failed("model", __FILE__, __LINE__, "an encoder is no decoder's model");
  }
  ModelId model_id() const override { return model_id_; }
  std::uint32_t context_length() const override { return config().context; }
  std::size_t layer_page_bytes() const override { return 0; }
  PageFormat page_format() const override { return {}; }
  std::uint32_t layers() const override { return config().layers; }

  Expected<void> submit(Request request) override {
    TROUPE_TRY(check(request));
    Waiting waiting;
    waiting.times.queued = request.arrived.value_or(clock_.now());
    waiting.request = std::move(request);
    const auto behind = [&](const Waiting& other) {
      return other.request.priority < waiting.request.priority;
    };
    waiting_.insert(std::ranges::find_if(waiting_, behind), std::move(waiting));
    return {};
  }
  Expected<void> submit_prefill(Request, std::uint32_t,
                                std::function<bool(const engine::PrefillProgress&)>) override {
    return no_pages();
  }
  void release_prefill(const RequestId&) override {}
  Expected<std::uint32_t> reserve_import(Request, std::uint32_t) override { return no_pages(); }
  Expected<void> import_page(const RequestId&, std::uint32_t, std::uint32_t,
                             std::span<const std::byte>) override {
    return no_pages();
  }
  Expected<void> imported_page(const RequestId&, std::uint32_t, std::uint32_t,
                               std::span<std::byte>) const override {
    return no_pages();
  }
  Expected<void> commit_import(const RequestId&, std::uint32_t) override { return no_pages(); }
  Expected<void> import_answer(const RequestId&, TokenId) override { return no_pages(); }
  std::uint32_t cached_tokens_for(std::string_view, std::span<const TokenId>) const override { return 0; }
  void export_page(std::uint32_t, std::uint32_t, std::span<std::byte>) const override {}
  engine::HeldBlocks hold_blocks(const RequestId&, std::span<const BlockKey>) override { return {}; }
  void release_blocks(const RequestId&) override {}
  void cancel(const RequestId& id) override {
    std::erase_if(waiting_, [&](const Waiting& each) { return each.request.id == id; });
  }

  std::unique_ptr<backend::ThreadHold> hold_thread() override { return backend_->hold_thread(); }
  bool has_work() const override { return !waiting_.empty(); }
  std::uint64_t progress() const override { return progress_.load(std::memory_order_relaxed); }
  std::vector<BlockKey> cached_blocks() const override { return {}; }

  EngineStats stats() const override {
    EngineStats stats = stats_;
    stats.waiting = static_cast<std::uint32_t>(waiting_.size());
    for (const Waiting& each : waiting_)
      stats.queued_prompt_tokens += static_cast<std::uint32_t>(each.request.prompt.size());
    return stats;
  }

  StepOutput step(const std::function<bool()>& interrupted) override {
    StepOutput out;
    expire(out);
    const std::size_t texts = choose();
    if (texts == 0) return out;
    for (auto at = waiting_.begin(); at != std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(texts));
         ++at)
      if (at->times.admitted == TimePoint{}) at->times.admitted = clock_.now();
    const std::span<const float> states = bert_->forward(tokens_, lengths_, [&] {
      progress_.fetch_add(1, std::memory_order_relaxed);
      return !interrupted || !interrupted();
    });
    if (states.empty()) return out;  // they are computed again, to the same bits
    std::size_t row = 0;
    for (std::size_t i = 0; i < texts; ++i) {
      out.tokens.push_back(answer(
          waiting_.front(), states.subspan(row * config().width, std::size_t{lengths_[i]} * config().width)));
      row += lengths_[i];
      waiting_.pop_front();
    }
    out.rows = static_cast<std::uint32_t>(row);
    out.budget = options_.token_budget;
    stats_.steps += 1;
    stats_.step_rows.add(out.rows);
    stats_.prompt_tokens += row;
    return out;
  }

 private:
  struct Waiting {
    Request request;
    engine::StageTimes times;
  };

  [[nodiscard]] const BertConfig& config() const { return bert_->file().config(); }

  Expected<void> check(const Request& request) const {
    if (request.pooling == Pooling::none)
      return fail(Errc::invalid_argument, "this model makes vectors of texts, and no text");
    if (request.pooling != Pooling::mean)
      return fail(Errc::invalid_argument, "this model's vectors are means over all tokens");
    if (request.prompt.empty()) return fail(Errc::invalid_argument, "a text has at least one token");
    if (request.max_tokens != 0 || request.choices != 1)
      return fail(Errc::invalid_argument, "a request that pools has one choice and draws no token");
    for (const TokenId token : request.prompt) {
      if (token < 0 || static_cast<std::uint32_t>(token) >= config().vocab)
        return fail(Errc::invalid_argument, "token id " + std::to_string(token) + " is outside 0.." +
                                                std::to_string(config().vocab - 1));
    }
    if (request.prompt.size() > config().context) {
      return fail(Errc::context_length_exceeded, "the text has " + std::to_string(request.prompt.size()) +
                                                     " tokens, the context holds " +
                                                     std::to_string(config().context));
    }
    if (waiting_.size() >= options_.queue)
      return fail(Errc::queue_full, std::to_string(waiting_.size()) + " of " +
                                        std::to_string(options_.queue) + " requests wait");
    return {};
  }

  void expire(StepOutput& out) {
    const TimePoint now = clock_.now();
    std::erase_if(waiting_, [&](const Waiting& each) {
      if (!each.request.deadline || *each.request.deadline > now) return false;
      TokenEvent event = event_for(each.request);
      event.finish = FinishReason::error;
      event.error = Error{Errc::deadline_exceeded, "the request's deadline passed"};
      out.tokens.push_back(std::move(event));
      return true;
    });
  }

  /// The first that wait, up to the budget and at least one: their tokens and lengths. Returns how many.
  std::size_t choose() {
    tokens_.clear();
    lengths_.clear();
    for (const Waiting& each : waiting_) {
      const std::vector<TokenId>& prompt = each.request.prompt;
      if (!lengths_.empty() && tokens_.size() + prompt.size() > options_.token_budget) break;
      tokens_.insert(tokens_.end(), prompt.begin(), prompt.end());
      lengths_.push_back(static_cast<std::uint32_t>(prompt.size()));
    }
    return lengths_.size();
  }

  static TokenEvent event_for(const Request& request) {
    TokenEvent event;
    event.id = request.id;
    event.epoch = request.epoch;
    event.choice = request.first_choice;
    return event;
  }

  TokenEvent answer(Waiting& waiting, std::span<const float> states) const {
    const std::uint32_t width = config().width;
    const auto count = static_cast<std::uint32_t>(states.size() / width);
    engine::HiddenPool pool(Pooling::mean, count, width);
    for (std::uint32_t i = 0; i < count; ++i) pool.take(i, states.subspan(std::size_t{i} * width, width));
    TokenEvent event = event_for(waiting.request);
    event.finish = FinishReason::stop;
    event.vector = pool.vector();
    waiting.times.first_token = waiting.times.last_token = clock_.now();
    event.times = waiting.times;
    if (waiting.request.traced) {
      engine::StageNews news;
      news.times = waiting.times;
      news.prompt_steps = 1;
      event.news = std::make_shared<const engine::StageNews>(std::move(news));
    }
    return event;
  }

  const std::unique_ptr<Bert> bert_;
  const std::shared_ptr<backend::Backend> backend_;
  const EncoderOptions options_;
  const Clock& clock_;
  const ModelId model_id_;
  std::list<Waiting> waiting_;  ///< by priority, then as they came
  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> lengths_;  ///< of the step under way
  std::atomic<std::uint64_t> progress_{0};
  EngineStats stats_;
};

}  // namespace

Expected<std::unique_ptr<engine::Engine>> make_encoder_engine(std::shared_ptr<const BertFile> file,
                                                              std::shared_ptr<backend::Backend> backend,
                                                              const EncoderOptions& options,
                                                              const Clock& clock,
                                                              const std::function<void(double)>& on_load) {
  const std::uint32_t rows = std::max(options.token_budget, file->config().context);
  auto bert = Bert::create(std::move(file), backend, rows, on_load);
  TROUPE_TRY(bert);
  return std::make_unique<EncoderEngine>(std::move(*bert), std::move(backend), options, clock);
}

}  // namespace troupe::encoder
