// Prompts that become vectors: computed like any other prompt, in the same batches, and then nothing is
// drawn.
#include "common/engine/engine_impl.hpp"

namespace troupe::engine {

Expected<void> EngineImpl::check_pooling(const Request& request) const {
  if (request.max_tokens != 0 || request.choices != 1 || request.resumed_tokens != 0 ||
      request.beam.width > 0 || request.superposed.drafts > 0 || request.grammar != nullptr || request.prompt_logprobs)
    return fail(Errc::invalid_argument, "a request that pools has one choice and draws no token");
  return {};
}

/// Whether a cached beginning is of no use: it has keys and values, and neither logits nor states.
bool EngineImpl::needs_every_row(const Request& request) {
  return request.prompt_logprobs || request.pooling == Pooling::mean;
}

void EngineImpl::end_pooled(Sequence& sequence, StepOutput& out) {
  TokenEvent event = event_for(sequence);
  event.vector = sequence.pool->vector();
  end(sequence, event, FinishReason::stop);
  if (sequence.news) tell_news(sequence, event);
  out.tokens.push_back(std::move(event));
}

}  // namespace troupe::engine
