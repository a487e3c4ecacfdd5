#pragma once
// The engine behind engine.hpp: admission, hybrid batches, sampling, transfer.
#include <atomic>
#include <list>
#include <map>

#include "common/engine/model_runner.hpp"
#include "common/engine/schedule/step_scheduler.hpp"
#include "common/engine/schedule/tenant_counters.hpp"
#include "common/engine/sequence.hpp"
#include "common/engine/tier/write_back.hpp"

namespace troupe::engine {

class EngineImpl final : public Engine {
 public:
  EngineImpl(std::shared_ptr<const Model> model, std::shared_ptr<backend::Backend> backend, const EngineOptions& options,
             const Clock& clock, std::unique_ptr<ModelRunner> runner);
  ~EngineImpl() override;

  const Model& model() const override { return *model_; }
  ModelId model_id() const override { return model_id_; }
  std::uint32_t context_length() const override { return context_; }
  std::size_t layer_page_bytes() const override { return runner_->kv_layout().layer_page_bytes(); }
  PageFormat page_format() const override;
  std::uint32_t layers() const override { return runner_->kv_layout().layers; }

  Expected<void> submit(Request request) override;
  Expected<void> submit_prefill(Request request, std::uint32_t tokens, std::function<bool(const PrefillProgress&)> progress) override;
  void release_prefill(const RequestId& id) override;
  Expected<std::uint32_t> reserve_import(Request request, std::uint32_t tokens) override;
  Expected<void> import_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                             std::span<const std::byte> bytes) override;
  Expected<void> imported_page(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                               std::span<std::byte> to) const override;
  Expected<void> commit_import(const RequestId& id, std::uint32_t tokens) override;
  Expected<void> import_answer(const RequestId& id, TokenId token) override;
  std::uint32_t cached_tokens_for(std::string_view tenant, std::span<const TokenId> prompt) const override;
  void export_page(std::uint32_t layer, std::uint32_t page, std::span<std::byte> to) const override;
  HeldBlocks hold_blocks(const RequestId& id, std::span<const BlockKey> keys) override;
  void release_blocks(const RequestId& id) override;
  void cancel(const RequestId& id) override;
  std::unique_ptr<backend::ThreadHold> hold_thread() override { return backend_->hold_thread(); }
  bool has_work() const override;
  StepOutput step(const std::function<bool()>& interrupted) override;
  std::uint64_t progress() const override { return progress_.load(std::memory_order_relaxed); }
  EngineStats stats() const override;
  std::vector<BlockKey> cached_blocks() const override { return pool_.stored_keys(); }
  std::vector<BlockKey> disk_blocks() const override;
  void on_ready(std::function<void()> wake) override;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;
  struct Planned {
    Sequence* sequence;
    std::uint32_t begin, rows;  ///< tokens [begin, begin + rows)
    bool decode;
  };
  /// Of one row: all, or the best in their order.
  struct RowLogits {
    std::span<const float> all;
    std::span<const backend::Scored> best;
  };

  // engine_submit.cpp: requests come and go
  Expected<void> check(const Request& request) const;
  SequencePtr make_sequence(Request request);
  SequencePages new_pages(const Request& request) const;
  std::uint32_t adopt(Sequence& sequence, std::uint32_t most);
  void copy(const std::optional<CopyPage>& page);
  const Sequence* importing(const RequestId& id) const;
  Expected<std::uint32_t> import_place(const RequestId& id, std::uint32_t layer, std::uint32_t page_index,
                                       std::size_t bytes) const;

  void enqueue(SequencePtr sequence);

  // engine_fetch.cpp: pages from disk
  std::unique_ptr<kv::disk::DiskTier> open_disk() const;
  void arrive(SequencePtr sequence);
  bool fetch(SequencePtr& sequence);
  void advance_fetches(StepOutput& out);
  void land(Fetch& fetch, const kv::disk::DiskTier::Arrived& arrived);
  void end_fetch(std::list<Fetch>::iterator at, bool more);
  bool yield_fetch();
  std::uint32_t waiting_for_disk() const;

  // engine_step.cpp: one step
  void report_blocks(StepOutput& out);
  void expire(StepOutput& out);
  void flush_feeds(StepOutput& out);
  void fill_batch(const std::vector<Planned>& plan);
  void after_layer(const std::vector<Planned>& plan, std::uint32_t layer);
  void add_rows(const Planned& item);
  std::uint32_t logits_kept(const Sequence& sequence) const;
  void take_logits(Sequence& sequence, std::uint32_t index, const RowLogits& logits, StepOutput& out);
  bool draw(Sequence& sequence, const RowLogits& logits, StepOutput& out);
  GeneratedToken next_token(const Sequence& sequence, const RowLogits& logits, std::span<const std::uint64_t> allowed) const;
  void end(Sequence& sequence, TokenEvent& event, FinishReason reason);
  TokenEvent event_for(Sequence& sequence) const;
  TokenEvent& open_event(Sequence& sequence, StepOutput& out);
  Sequence& fork(const Sequence& sequence);
  void drop_finished();
  void tell_news(Sequence& sequence, TokenEvent& event) const;
  void note_prefill(Sequence& sequence) const;

  // engine_pool.cpp: prompts that become vectors
  Expected<void> check_pooling(const Request& request) const;
  [[nodiscard]] static bool needs_every_row(const Request& request);
  void end_pooled(Sequence& sequence, StepOutput& out);

  // engine_grammar.cpp: answers of a given form, and by rules
  static Expected<grammar::Matcher> matcher_of(const Request& request);
  static bool ruled(const Sequence& sequence);
  void allow_form(Sequence& sequence);
  std::span<const std::uint64_t> allowed_tokens(Sequence& sequence);
  std::optional<GeneratedToken> allowed_token(Sequence& sequence, const RowLogits& logits);
  void end_without_choice(Sequence& sequence, TokenEvent& event);

  // engine_beam.cpp: beam search
  Expected<void> check_beams(const Request& request) const;
  BeamSearch new_search(const Request& request) const;
  void take_candidates(Sequence& sequence, const RowLogits& logits);
  void advance_beams(const std::vector<Planned>& planned, StepOutput& out);
  void advance(BeamGroup& group, StepOutput& out);
  void report_hypotheses(std::vector<BeamSearch::Hypothesis> best, Sequence& lead, StepOutput& out);
  std::list<SequencePtr>::iterator fold_beams(std::list<SequencePtr>::iterator at);

  // engine_superposed.cpp: several answers of one row a step
  Expected<void> check_superposed(const Request& request) const;
  std::unique_ptr<SuperposedSearch> new_superposed(const Request& request) const;
  void blend(Sequence& sequence, std::uint32_t index);
  void take_superposed(Sequence& sequence, const RowLogits& logits, StepOutput& out);
  void fold_superposed(Sequence& sequence);

  // engine_draft.cpp: rows of guesses
  speculation::DraftContext draft_context(const Sequence& sequence) const;
  bool draft(const std::vector<Sequence*>& candidates, std::vector<RowDemand>& demands, std::span<const std::uint32_t> rows);
  std::uint32_t draft_room(const Sequence& sequence, std::uint32_t& spare_pages) const;
  void add_draft_rows(Sequence& sequence, std::uint32_t begin);
  void rank(Sequence& sequence, std::uint32_t row, const RowLogits& logits);
  static std::vector<speculation::RankedRow> path_last(const Sequence& sequence);
  void settle(const Planned& item, StepOutput& out);

  // engine_schedule.cpp: who computes
  void admit();
  Standing standing_of(const Sequence& sequence) const;
  bool make_place(Sequence& sequence);
  bool gives_way(const Sequence& running, const Sequence& to) const;
  std::list<SequencePtr>::iterator last_in_rank();
  std::uint32_t room_for(const Sequence& sequence) const;
  bool start(Sequence& sequence);
  std::vector<Planned> plan(StepOutput& out);
  std::vector<Sequence*> service_order() const;
  void learn(const std::vector<Planned>& planned, Duration time);
  bool make_room(Sequence& sequence, std::uint32_t length);
  std::list<SequencePtr>::iterator preempt(std::list<SequencePtr>::iterator victim);
  void swap_out(Sequence& sequence);
  void swap_in(Sequence& sequence);

  static constexpr std::uint32_t kPagesPerStep = 1;  ///< written back beside rows: a copy each
  static constexpr std::uint32_t kPagesPerIdleStep = 4;
  static constexpr std::uint64_t kMostPassedOver = 32;  ///< steps a running prompt may go without a row

  const std::shared_ptr<const Model> model_;
  const std::shared_ptr<backend::Backend> backend_;
  const EngineOptions options_;
  const Clock& clock_;
  const std::unique_ptr<ModelRunner> runner_;
  const ModelId model_id_;
  mutable PagePool pool_;
  const std::uint32_t context_;
  const std::unique_ptr<kv::disk::DiskTier> disk_;  ///< none: no tier, or it could not be opened
  const std::unique_ptr<WriteBack> write_back_;     ///< with disk_; watches pool_
  std::list<Fetch> fetching_;                       ///< as they were begun
  SwapStore swap_;
  PreemptionCost preemption_;
  speculation::Speculator speculator_;  ///< outlives the sequences
  std::list<SequencePtr> waiting_;    ///< as they came; preempted ones at the front
  std::list<SequencePtr> running_;    ///< as they were admitted
  std::map<RequestId, SequencePtr> importing_;
  std::map<RequestId, SequencePtr> prefilled_;  ///< done, pages pinned
  std::map<RequestId, std::vector<std::uint32_t>> held_;  ///< pages others read
  std::vector<SequencePtr> forked_;   ///< made in this step
  std::vector<Sequence*> finished_;   ///< in this step
  StepScheduler scheduler_;
  TenantCounters places_, rows_;      ///< fair shares of admissions, and of prompt rows
  std::uint64_t arrivals_ = 0, sequences_ = 0;
  std::vector<std::uint64_t> allowed_;  ///< of the draw under way
  const Sequence* drew_last_ = nullptr;  ///< in this step
  StepBatch batch_;
  std::vector<std::pair<Sequence*, std::uint32_t>> logit_owner_;  ///< of batch_.logit_rows: sequence and token index
  std::vector<std::pair<Sequence*, std::uint32_t>> state_owner_;  ///< of batch_.state_rows: likewise
  std::atomic<std::uint64_t> progress_{0};
  EngineStats stats_;
};

}  // namespace troupe::engine
