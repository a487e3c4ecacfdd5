#pragma once
// An engine without a model: its tokens are a function of the last tokens, the seed, the choice and the
// position, so that a resumed, re-placed or imported stream must continue identically. Pages carry a pattern
// of the tokens they hold, block by block; a commit compares what was imported with what would have been computed, unless it
// comes from other numbers.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "common/base/hash.hpp"
#include "common/engine/engine.hpp"
#include "common/kv/block_key.hpp"
#include "common/kv/page_converter.hpp"

namespace troupe::test {

struct FakeEngineOptions {
  std::uint32_t layers = 3;
  std::uint32_t page_tokens = 64;
  PageNumbers numbers = PageNumbers::f16;
  KeyOrder keys = KeyOrder::by_channel;
  std::uint32_t max_sequences = 64;
  std::uint32_t queue = 64;
  std::uint32_t pages = 100000;
  std::uint32_t chunk = 128;
  std::uint32_t context = 1u << 20;
  bool cache = true;
  bool mute = false;  ///< steps make no tokens: a hang
  std::chrono::microseconds step_time{
      0};  ///< what a step costs; a real engine never floods the control plane
  std::function<void(const engine::Request&)> submitted{};  ///< told what was taken
  std::function<void(std::thread::id)> held{};  ///< told which thread hold_thread() was for
  const Clock* clock = nullptr;                 ///< of what traced requests went through; none: nothing is told
};

/// The token every correct engine draws next.
inline TokenId fake_next(std::span<const TokenId> so_far, std::uint64_t seed, std::uint32_t choice) {
  Hasher hasher;
  hasher.number(seed).number(choice).number(so_far.size());
  hasher.bytes(std::as_bytes(so_far.last(std::min<std::size_t>(8, so_far.size()))));
  return static_cast<TokenId>(hasher.finish<ModelId>().low % 5000) + 10;
}

/// What a whole answer must be.
inline std::vector<TokenId> fake_answer(std::vector<TokenId> prompt, std::uint64_t seed, std::uint32_t choice,
                                        std::uint32_t max_tokens, std::span<const TokenId> stops = {}) {
  std::vector<TokenId> answer;
  while (answer.size() < max_tokens) {
    answer.push_back(fake_next(prompt, seed, choice));
    prompt.push_back(answer.back());
    if (std::find(stops.begin(), stops.end(), answer.back()) != stops.end()) break;
  }
  return answer;
}

/// What a text's vector must be.
inline std::vector<float> fake_vector(std::span<const TokenId> prompt, Pooling pooling) {
  const auto hash = Hasher().bytes(std::as_bytes(prompt)).number(static_cast<std::uint64_t>(pooling)).finish<ModelId>();
  return {static_cast<float>(hash.high >> 40), static_cast<float>(hash.low >> 40)};
}

class FakeEngine final : public engine::Engine {
 public:
  explicit FakeEngine(FakeEngineOptions options = {}) : options_(options) {}

  const Model& model() const override {
    detail::check_failed("model", __FILE__, __LINE__, "a fake engine has none");
  }
  /// Numbers are part of it, how pages lie is not.
  ModelId model_id() const override { return ModelId{77, 88 + static_cast<std::uint64_t>(options_.numbers)}; }
  std::uint32_t context_length() const override { return options_.context; }
  std::size_t layer_page_bytes() const override { return page_format().layer_page_bytes(); }
  PageFormat page_format() const override {
    return {options_.page_tokens, 1, 16, 16, options_.numbers, options_.keys};
  }
  std::uint32_t layers() const override { return options_.layers; }

  std::unique_ptr<backend::ThreadHold> hold_thread() override {
    if (options_.held) options_.held(std::this_thread::get_id());
    return nullptr;
  }
  Expected<void> submit(engine::Request request) override {
    TROUPE_TRY(admit(request));
    if (options_.submitted) options_.submitted(request);
    Sequence sequence;
    sequence.request = std::move(request);
    sequence.ready = true;
    add(std::move(sequence));
    return {};
  }
  Expected<void> submit_prefill(engine::Request request, std::uint32_t tokens,
                                std::function<bool(const engine::PrefillProgress&)> progress) override {
    TROUPE_TRY(admit(request));
    Sequence sequence;
    sequence.request = std::move(request);
    sequence.ready = true;
    sequence.prefill_tokens = tokens;
    sequence.progress = std::move(progress);
    for (std::uint32_t page = 0; page * options_.page_tokens < tokens; ++page) sequence.pages.push_back(next_page_++);
    const auto text = std::make_shared<std::vector<TokenId>>(sequence.request.prompt);
    for (std::size_t i = 0; i < sequence.pages.size(); ++i)
      page_text_[sequence.pages[i]] = {text, static_cast<std::uint32_t>(i)};
    add(std::move(sequence));
    return {};
  }
  void release_prefill(const RequestId& id) override {
    released.insert(id);
    cancel(id);
  }
  Expected<std::uint32_t> reserve_import(engine::Request request, std::uint32_t tokens) override {
    TROUPE_TRY(admit(request));
    Sequence sequence;
    sequence.request = std::move(request);
    sequence.import_tokens = tokens;
    if (sequence.request.pages_of.is_zero())
      sequence.computed = cached_tokens_for(sequence.request.tenant, sequence.request.prompt) / options_.page_tokens *
                          options_.page_tokens;
    sequence.cached = sequence.computed;
    const std::uint32_t held = sequence.computed;
    add(std::move(sequence));
    return held;
  }
  Expected<void> import_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                             std::span<const std::byte> bytes) override {
    const auto at = sequences_.find(id);
    if (at == sequences_.end()) return fail(Errc::transfer_failed, "unknown request");
    if (bytes.size() != layer_page_bytes()) return fail(Errc::transfer_failed, "wrong size");
    at->second.imported[{layer, page_index}].assign(bytes.begin(), bytes.end());
    return {};
  }
  Expected<void> imported_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                               std::span<std::byte> to) const override {
    const auto at = sequences_.find(id);
    if (at == sequences_.end()) return fail(Errc::transfer_failed, "unknown request");
    const auto page = at->second.imported.find({layer, page_index});
    if (page == at->second.imported.end()) return fail(Errc::transfer_failed, "nothing came of that page");
    std::ranges::copy(page->second, to.begin());
    return {};
  }
  Expected<void> commit_import(const RequestId& id, std::uint32_t tokens) override {
    const auto at = sequences_.find(id);
    if (at == sequences_.end()) return fail(Errc::transfer_failed, "unknown request");
    Sequence& sequence = at->second;
    tokens = std::clamp(tokens, sequence.computed, sequence.import_tokens);
    const auto came = std::span(sequence.request.prompt).first(tokens);
    const bool foreign = !sequence.request.pages_of.is_zero();
    for (std::uint32_t page = sequence.computed / options_.page_tokens; page * options_.page_tokens < tokens; ++page) {
      for (std::uint32_t layer = 0; layer < options_.layers; ++layer) {
        const auto found = sequence.imported.find({layer, page});
        const std::uint32_t within = std::min(options_.page_tokens, tokens - page * options_.page_tokens);
        if (found == sequence.imported.end() ||
            (!foreign && slots_of(found->second, within) != slots_of(page_bytes(came, layer, page), within)))
          return fail(Errc::transfer_failed, "page " + std::to_string(page) + " is missing or wrong");
      }
    }
    sequence.computed = tokens;
    sequence.cached = tokens;
    imported_tokens += tokens;
    sequence.ready = true;
    store_blocks(sequence, came, pending_kv_);
    return {};
  }
  Expected<void> import_answer(const RequestId& id, TokenId token) override {
    const auto at = sequences_.find(id);
    if (at == sequences_.end()) return fail(Errc::transfer_failed, "unknown request");
    const engine::Request& request = at->second.request;
    TROUPE_CHECK(request.choices == 1 && request.beam.width == 0 && request.resumed_tokens + 1 < request.max_tokens,
                 "a token of an answer that cannot go on behind it");
    TROUPE_CHECK(token == fake_next(request.prompt, request.sampling.seed, request.first_choice),
                 "another worker drew another token");
    at->second.drawn = token;
    return {};
  }
  std::uint32_t cached_tokens_for(std::string_view tenant, std::span<const TokenId> prompt) const override {
    if (!options_.cache || prompt.empty()) return 0;
    std::uint32_t tokens = 0;
    for (const BlockKey& key : block_keys(model_id(), tenant, prompt.first(prompt.size() - 1))) {
      if (!blocks_.contains(key)) break;
      tokens += kBlockTokens;
    }
    return tokens;
  }
  void export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const override {
    const auto& [text, index] = page_text_.at(page);
    std::ranges::copy(page_bytes(*text, layer, index), to.begin());
  }
  engine::HeldBlocks hold_blocks(const RequestId& id, std::span<const BlockKey> keys) override {
    release_blocks(id);
    engine::HeldBlocks held;
    auto text = std::make_shared<std::vector<TokenId>>();
    for (const BlockKey& key : keys) {
      const auto found = blocks_.find(key);
      if (found == blocks_.end()) break;
      text->insert(text->end(), found->second.begin(), found->second.end());
    }
    held.tokens = static_cast<std::uint32_t>(text->size());
    for (std::uint32_t page = 0; page * options_.page_tokens < held.tokens; ++page) {
      held.pages.push_back(next_page_++);
      page_text_[held.pages.back()] = {text, page};
    }
    if (!held.pages.empty()) held_[id] = held.pages;
    return held;
  }
  void release_blocks(const RequestId& id) override {
    const auto found = held_.find(id);
    if (found == held_.end()) return;
    for (const std::uint32_t page : found->second) page_text_.erase(page);
    held_.erase(found);
  }
  /// The cache forgets all but the first `blocks` of a prompt.
  void evict(std::string_view tenant, std::span<const TokenId> prompt, std::size_t blocks) {
    const auto keys = block_keys(model_id(), tenant, prompt);
    for (std::size_t i = blocks; i < keys.size(); ++i) blocks_.erase(keys[i]);
  }
  void cancel(const RequestId& id) override {
    const auto at = sequences_.find(id);
    if (at == sequences_.end()) return;
    for (const std::uint32_t page : at->second.pages) page_text_.erase(page);
    sequences_.erase(at);
    std::erase(order_, id);
  }
  bool has_work() const override {
    return std::any_of(sequences_.begin(), sequences_.end(),
                       [](const auto& e) { return e.second.ready && !e.second.done; });
  }
  engine::StepOutput step(const std::function<bool()>& = {}) override {
    engine::StepOutput out;
    out.kv = std::exchange(pending_kv_, {});
    if (options_.mute) return out;
    if (options_.step_time.count() != 0) std::this_thread::sleep_for(options_.step_time);
    ++steps_;
    std::uint32_t running = 0;
    for (const RequestId& id : std::vector<RequestId>(order_)) {
      Sequence& sequence = sequences_.at(id);
      if (!sequence.ready || sequence.done) continue;
      if (++running > options_.max_sequences) break;
      run(id, sequence, out);
    }
    progress_ += options_.layers;
    return out;
  }
  std::uint64_t progress() const override { return progress_; }
  engine::EngineStats stats() const override {
    engine::EngineStats stats;
    for (const auto& [id, sequence] : sequences_) {
      if (sequence.done) continue;
      if (!sequence.ready) stats.pages_reserved += sequence.import_tokens / 64;
      (stats.running < options_.max_sequences ? stats.running : stats.waiting) += 1;
      const auto prompt = static_cast<std::uint32_t>(sequence.request.prompt.size());
      if (sequence.ready) stats.queued_prompt_tokens += prompt - std::min(prompt, sequence.computed);
    }
    stats.pages_total = options_.pages;
    stats.pages_free = options_.pages - stats.pages_reserved;
    stats.generated_tokens = generated_;
    stats.steps = steps_;
    return stats;
  }
  std::vector<BlockKey> cached_blocks() const override {
    std::vector<BlockKey> keys;
    for (const auto& [key, text] : blocks_) keys.push_back(key);
    return keys;
  }

  void set_mute(bool mute) { options_.mute = mute; }
  /// Sequences that still hold anything: zero once everything ended.
  [[nodiscard]] std::size_t held() const { return sequences_.size() + held_.size(); }
  std::uint64_t imported_tokens = 0, computed_tokens = 0;  ///< of prompts
  std::vector<std::int32_t> priorities;  ///< of every request that came
  std::set<RequestId> released;

 private:
  struct Sequence {
    engine::Request request;
    bool ready = false, done = false, announced = false;
    std::uint32_t prefill_tokens = 0, import_tokens = 0, computed = 0, cached = 0;
    std::function<bool(const engine::PrefillProgress&)> progress;
    std::uint32_t next_layer = 0;
    std::vector<std::uint32_t> pages;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::byte>> imported;
    std::vector<std::vector<TokenId>> texts;  // per choice: prompt and answer
    std::vector<bool> finished;
    std::uint32_t search_steps = 0;
    std::optional<TokenId> drawn;  // the first token, by another engine
    engine::StageNews news;
  };

  Expected<void> admit(const engine::Request& request) {
    priorities.push_back(request.priority);
    if (request.prompt.empty()) return fail(Errc::invalid_argument, "an empty prompt");
    if (searches(request) && request.resumed_tokens > 0) return fail(Errc::invalid_argument, "a search is not resumed");
    if (sequences_.size() >= options_.max_sequences + options_.queue)
      return fail(Errc::queue_full, "the fake engine's queue is full");
    if (request.prompt.size() / 64 + 1 > options_.pages) return fail(Errc::out_of_pages, "can never fit");
    return {};
  }
  static bool searches(const engine::Request& request) { return request.beam.width > 0 || request.superposed.drafts > 0; }
  [[nodiscard]] TimePoint now() const { return options_.clock == nullptr ? TimePoint{} : options_.clock->now(); }
  [[nodiscard]] bool tells(const Sequence& sequence) const { return sequence.request.traced && options_.clock != nullptr; }
  void add(Sequence sequence) {
    const RequestId id = sequence.request.id;
    TROUPE_CHECK(!sequences_.contains(id), "an engine id was used twice");
    sequence.news.times.queued = sequence.news.times.admitted = now();
    sequences_.emplace(id, std::move(sequence));
    order_.push_back(id);
  }
  /// What a page's KV would be made of: four numbers a block in K and in V of its first slot, 0 elsewhere and beyond the
  /// text; in f16, then as this engine holds numbers.
  std::vector<std::byte> page_bytes(std::span<const TokenId> text, std::uint32_t layer, std::uint32_t page) const {
    PageFormat halves = page_format();
    halves.numbers = PageNumbers::f16;
    halves.keys = KeyOrder::by_token;
    std::vector<std::byte> bytes(halves.layer_page_bytes());
    for (std::uint32_t slot = 0; slot < options_.page_tokens; slot += kBlockTokens) {
      const std::size_t end = std::size_t{page} * options_.page_tokens + slot + kBlockTokens;
      if (end > text.size()) break;
      const std::uint64_t word =
          Hasher().number(layer).bytes(std::as_bytes(text.first(end))).finish<ModelId>().low & 0xBFFFBFFFBFFFBFFF;  // finite
      const std::size_t keys = std::size_t{slot} * halves.key_dim * 2;
      const std::size_t values = std::size_t{options_.page_tokens} * halves.key_dim * 2 + std::size_t{slot} * halves.value_dim * 2;
      std::memcpy(bytes.data() + keys, &word, sizeof word);
      std::memcpy(bytes.data() + values, &word, sizeof word);
    }
    std::vector<std::byte> own(layer_page_bytes());
    const auto moved = PageConverter::create(halves, page_format())->move(bytes, 0, own, 0, options_.page_tokens);
    TROUPE_CHECK(moved.has_value(), "a page of the fake engine's own");
    return own;
  }
  /// The first `slots` of a page, for comparing.
  std::vector<std::byte> slots_of(const std::vector<std::byte>& page, std::uint32_t slots) const {
    PageFormat exact = page_format();
    exact.page_tokens = (slots + kBlockTokens - 1) / kBlockTokens * kBlockTokens;
    std::vector<std::byte> out(exact.layer_page_bytes());
    const auto moved = PageConverter::create(page_format(), exact)->move(page, 0, out, 0, slots);
    TROUPE_CHECK(moved.has_value(), "slots of a page");
    return out;
  }
  /// Of pages made from other numbers nothing is found again.
  void store_blocks(const Sequence& sequence, std::span<const TokenId> text, std::vector<engine::KvEvent>& kv) {
    if (!options_.cache || !sequence.request.pages_of.is_zero()) return;
    std::size_t end = 0;
    for (const BlockKey& key : block_keys(model_id(), sequence.request.tenant, text)) {
      const auto tokens = text.subspan(end, kBlockTokens);
      end += kBlockTokens;
      if (blocks_.emplace(key, std::vector<TokenId>(tokens.begin(), tokens.end())).second) kv.push_back({key, true});
    }
  }
  void run(const RequestId& id, Sequence& sequence, engine::StepOutput& out) {
    if (sequence.prefill_tokens != 0) return run_prefill(id, sequence, out);
    const auto prompt_size = static_cast<std::uint32_t>(sequence.request.prompt.size());
    if (sequence.computed == 0 && !sequence.announced)
      sequence.computed = sequence.cached =
          cached_tokens_for(sequence.request.tenant, sequence.request.prompt);
    if (sequence.computed < prompt_size) {
      const std::uint32_t rows = std::min(options_.chunk, prompt_size - sequence.computed);
      out.rows += rows;
      sequence.computed += rows;
      ++sequence.news.prompt_steps;
      computed_tokens += rows;
      store_blocks(sequence, std::span(sequence.request.prompt).first(sequence.computed), out.kv);
      if (sequence.computed < prompt_size) return;
    }
    generate(id, sequence, out);
  }
  void run_prefill(const RequestId& id, Sequence& sequence, engine::StepOutput& out) {
    // One chunk, layer by layer; a refused layer is offered again in the next step.
    const std::uint32_t tokens =
        std::min(sequence.prefill_tokens, (sequence.computed / options_.chunk + 1) * options_.chunk);
    for (; sequence.next_layer < options_.layers; ++sequence.next_layer) {
      engine::PrefillProgress progress;
      progress.id = id;
      progress.layer = sequence.next_layer;
      progress.pages = sequence.pages;
      progress.tokens = tokens;
      if (!sequence.progress(progress)) return;
      ++out.rows;
    }
    sequence.next_layer = 0;
    sequence.computed = tokens;
    if (++sequence.news.prompt_steps == 1) sequence.news.times.first_token = now();
    store_blocks(sequence, std::span(sequence.request.prompt).first(tokens), out.kv);
    if (tokens < sequence.prefill_tokens) return;
    sequence.done = true;
    out.prefilled.push_back(id);
    if (sequence.request.draw_first) {
      TROUPE_CHECK(tokens == sequence.request.prompt.size(), "a first token is drawn behind a whole prompt");
      engine::TokenEvent event;
      event.id = id;
      event.epoch = sequence.request.epoch;
      event.choice = sequence.request.first_choice;
      event.first_index = sequence.request.resumed_tokens;
      const TokenId token = fake_next(sequence.request.prompt, sequence.request.sampling.seed, event.choice);
      event.tokens.push_back({token, 0.0f, {}});
      out.tokens.push_back(std::move(event));
    }
    sequence.news.times.last_token = now();
    if (tells(sequence)) out.prefill_news.emplace_back(id, std::make_shared<const engine::StageNews>(sequence.news));
  }
  /// Silent for some steps, then all of it.
  void search(const RequestId& id, Sequence& sequence, engine::StepOutput& out) {
    const engine::Request& request = sequence.request;
    out.rows += std::max(request.beam.width, 1u);
    if (++sequence.search_steps < std::min(request.max_tokens, 30u)) return;
    for (std::uint32_t i = 0; i < request.choices; ++i) {
      engine::TokenEvent event;
      event.id = id;
      event.epoch = request.epoch;
      event.choice = request.first_choice + i;
      event.score = -1.0 - event.choice;
      event.finish = FinishReason::length;
      for (const TokenId token : fake_answer(request.prompt, request.sampling.seed, event.choice, request.max_tokens))
        event.tokens.push_back({token, 0.0f, {}});
      out.tokens.push_back(std::move(event));
    }
    cancel(id);
  }
  void pool(const RequestId& id, const Sequence& sequence, engine::StepOutput& out) {
    engine::TokenEvent event;
    event.id = id;
    event.epoch = sequence.request.epoch;
    event.finish = FinishReason::stop;
    event.vector = fake_vector(sequence.request.prompt, sequence.request.pooling);
    out.tokens.push_back(std::move(event));
    cancel(id);
  }
  void generate(const RequestId& id, Sequence& sequence, engine::StepOutput& out) {
    if (searches(sequence.request)) return search(id, sequence, out);
    if (sequence.request.pooling != Pooling::none) return pool(id, sequence, out);
    const engine::Request& request = sequence.request;
    if (sequence.texts.empty()) {
      sequence.texts.assign(request.choices, request.prompt);
      if (sequence.drawn) sequence.texts[0].push_back(*sequence.drawn);
      sequence.finished.assign(request.choices, false);
    }
    for (std::uint32_t i = 0; i < request.choices; ++i) {
      if (sequence.finished[i]) continue;
      auto& text = sequence.texts[i];
      if (text.size() % kBlockTokens == 0) store_blocks(sequence, text, out.kv);
      engine::TokenEvent event;
      event.id = id;
      event.epoch = request.epoch;
      event.choice = request.first_choice + i;
      event.first_index =
          static_cast<std::uint32_t>(text.size() - request.prompt.size()) + request.resumed_tokens;
      if (tells(sequence) && text.size() == request.prompt.size()) {
        sequence.news.times.first_token = now();
        event.news = std::make_shared<const engine::StageNews>(sequence.news);
      }
      const TokenId token = fake_next(text, request.sampling.seed, event.choice);
      text.push_back(token);
      ++generated_;
      ++out.rows;
      event.tokens.push_back({token, 0.0f, {}});
      event.cached_tokens = sequence.cached;
      if (!sequence.announced && request.prompt_logprobs)
        for (const TokenId t : request.prompt) event.prompt_tokens.push_back({t, -1.0f, {}});
      sequence.announced = true;
      const bool stop = std::find(request.stop_tokens.begin(), request.stop_tokens.end(), token) !=
                        request.stop_tokens.end();
      if (stop)
        event.finish = FinishReason::stop;
      else if (event.first_index + 1 >= request.max_tokens)
        event.finish = FinishReason::length;
      sequence.finished[i] = event.finish != FinishReason::none;
      out.tokens.push_back(std::move(event));
    }
    if (std::all_of(sequence.finished.begin(), sequence.finished.end(), [](bool f) { return f; })) cancel(id);
  }

  FakeEngineOptions options_;
  std::map<RequestId, Sequence> sequences_;
  std::vector<RequestId> order_;
  std::map<std::uint32_t, std::pair<std::shared_ptr<std::vector<TokenId>>, std::uint32_t>>
      page_text_;  // of pages others read: whole text, page within it
  std::map<BlockKey, std::vector<TokenId>> blocks_;
  std::map<RequestId, std::vector<std::uint32_t>> held_;
  std::vector<engine::KvEvent> pending_kv_;
  std::uint32_t next_page_ = 0;
  std::atomic<std::uint64_t> progress_{0};
  std::uint64_t steps_ = 0, generated_ = 0;
};

}  // namespace troupe::test
