#include "common/worker/first_token.hpp"

#include <algorithm>

#include "common/worker/token_entries.hpp"

namespace troupe::worker {
namespace {

/// Beside a prompt in one control message.
constexpr std::size_t kMostOrderBytes = 8 * 1024;

bool draws_elsewhere(const wire::Generate& order) {
  return order.choices == 1 && order.beam.width == 0 && order.superposed.drafts == 0 && order.grammar.kind == grammar::Kind::none &&
         !order.prompt_logprobs && order.resumed_tokens < order.max_tokens;
}

}  // namespace

engine::Request request_of(const wire::Generate& order) {
  engine::Request request;
  request.epoch = order.epoch;
  request.tenant = order.tenant;
  request.priority = order.priority;
  request.resumed_tokens = order.resumed_tokens;
  request.first_choice = order.first_choice;
  request.choices = order.choices;
  request.max_tokens = order.max_tokens;
  request.stop_tokens = order.stop_tokens;
  request.sampling = order.sampling.p;
  request.beam = order.beam;
  request.superposed = order.superposed;
  request.rules = order.rules;
  return request;
}

std::vector<std::uint8_t> order_for_first(const wire::Generate& order) {
  if (!draws_elsewhere(order)) return {};
  wire::Generate asked = order;  // whatever a draw depends on goes along, also what is added one day
  asked.prompt.clear();
  asked.reference.clear();
  asked.drafter.clear();
  asked.prefill_address.clear();
  asked.prefill_data_address.clear();
  asked.fetch_address.clear();
  auto bytes = wire::encode(asked);
  if (bytes.size() > kMostOrderBytes) bytes.clear();
  return bytes;
}

std::uint32_t prompt_tokens(const wire::PrefillRequest& request) {
  return std::max(request.tokens, request.prompt_tokens);
}

std::optional<wire::Generate> stream_of(const wire::PrefillRequest& request, std::uint32_t context) {
  if (request.order.empty()) return std::nullopt;
  auto stream = wire::decode<wire::Generate>(request.order);
  if (!stream || stream->request != request.request || stream->prompt_tokens != request.prompt_tokens ||
      request.prompt_tokens <= request.tokens || request.prompt_tokens >= context ||
      stream->resumed_tokens >= stream->prompt_tokens || !draws_elsewhere(*stream))
    return std::nullopt;
  return std::move(*stream);
}

void say_first(wire::PrefillDone& message, const wire::Generate& stream, const GeneratedToken& token) {
  message.drawn = to_wire(token);
  message.drawn_choice = stream.first_choice;
  message.drawn_index = stream.resumed_tokens;
}

FinishReason first_finish(const wire::Generate& order, TokenId token, std::uint32_t context) {
  if (std::ranges::find(order.stop_tokens, token) != order.stop_tokens.end()) return FinishReason::stop;
  const bool last = order.resumed_tokens + 1 >= order.max_tokens || order.prompt_tokens + 1 >= context;
  return last ? FinishReason::length : FinishReason::none;
}

}  // namespace troupe::worker
