#include "services/gateway/batches/batch.hpp"

#include <algorithm>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

using Status = BatchStatus;

void append_text(std::string& out, std::string_view key, const std::string& value) {
  out += ",\"" + std::string(key) + "\":";
  value.empty() ? void(out += "null") : append_quoted(out, value);
}

void append_time(std::string& out, std::string_view key, std::int64_t seconds) {
  out += ",\"" + std::string(key) + "\":" + (seconds == 0 ? "null" : std::to_string(seconds));
}

std::string error_list(const std::vector<BatchError>& errors) {
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(errors.size(), kMostBatchErrors); ++i) {
    out += i == 0 ? "{\"code\":" : ",{\"code\":";
    append_quoted(out, errors[i].code);
    append_text(out, "message", errors[i].message);
    append_text(out, "param", errors[i].param);
    append_time(out, "line", errors[i].line);
    out += '}';
  }
  return out + "]";
}

void append_usage(std::string& out, const BatchUsage& used) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  out += ",\"usage\":{\"input_tokens\":" + number(used.prompt_tokens) +
         ",\"input_tokens_details\":{\"cached_tokens\":" + number(used.cached_tokens) +
         "},\"output_tokens\":" + number(used.completion_tokens) +
         ",\"output_tokens_details\":{\"reasoning_tokens\":" + number(used.reasoning_tokens) +
         "},\"total_tokens\":" + number(used.prompt_tokens + used.completion_tokens) + "}";
}

}  // namespace

bool Batch::ended() const {
  return status == Status::failed || status == Status::completed || status == Status::expired ||
         status == Status::cancelled;
}

void Batch::enter(Status next, std::int64_t now) {
  status = next;
  entered[static_cast<std::size_t>(next)] = now;
}

void Batch::begin(std::int64_t now, std::int64_t window_seconds) {
  enter(Status::validating, now);
  expires = now + window_seconds;
}

void Batch::validated(std::int64_t lines, const std::vector<BatchError>& found, std::int64_t now) {
  if (status != Status::validating) return;  // it was cancelled meanwhile
  if (!found.empty()) {
    errors = error_list(found);
    return enter(Status::failed, now);
  }
  total = lines;
  enter(Status::in_progress, now);
}

Parsed<void> Batch::cancel(std::int64_t now) {
  if (status == Status::cancelling || status == Status::cancelled) return {};
  if (status != Status::validating && status != Status::in_progress)
    return refuse("invalid_batch_status", "",
                  "Cannot cancel a batch with status '" +
                      std::string(kBatchStatusNames[static_cast<std::size_t>(status)]) + "'.");
  enter(Status::cancelling, now);
  return {};
}

bool Batch::settle(std::int64_t running, std::int64_t now) {
  if (status == Status::finalizing) return true;
  if (status == Status::cancelling) return running == 0;
  if (status != Status::in_progress || running > 0) return false;
  const bool all = completed + failed == total;
  if (!all && now < expires) return false;
  ran_out = !all;
  enter(Status::finalizing, now);
  return true;
}

void Batch::finished(std::int64_t now) {
  if (status == Status::cancelling) return enter(Status::cancelled, now);
  if (status == Status::finalizing) enter(ran_out ? Status::expired : Status::completed, now);
}

std::string to_json(const Batch& batch) {
  std::string out = "{\"id\":";
  append_quoted(out, batch.id);
  out += ",\"object\":\"batch\"";
  append_text(out, "endpoint", batch.endpoint);
  append_text(out, "model", batch.model);
  out += ",\"errors\":";
  out += batch.errors == "[]" ? "null" : "{\"object\":\"list\",\"data\":" + batch.errors + "}";
  append_text(out, "input_file_id", batch.input_file);
  out += ",\"completion_window\":\"24h\"";
  append_text(out, "status", std::string(kBatchStatusNames[static_cast<std::size_t>(batch.status)]));
  append_text(out, "output_file_id", batch.output_file);
  append_text(out, "error_file_id", batch.error_file);
  append_time(out, "created_at", batch.since(Status::validating));
  append_time(out, "in_progress_at", batch.since(Status::in_progress));
  append_time(out, "expires_at", batch.expires);
  append_time(out, "finalizing_at", batch.since(Status::finalizing));
  append_time(out, "completed_at", batch.since(Status::completed));
  append_time(out, "failed_at", batch.since(Status::failed));
  append_time(out, "expired_at", batch.since(Status::expired));
  append_time(out, "cancelling_at", batch.since(Status::cancelling));
  append_time(out, "cancelled_at", batch.since(Status::cancelled));
  out += ",\"request_counts\":{\"total\":" + std::to_string(batch.total) +
         ",\"completed\":" + std::to_string(batch.completed) + ",\"failed\":" + std::to_string(batch.failed) +
         "}";
  append_usage(out, batch.usage);
  return out + ",\"metadata\":" + (batch.metadata.empty() ? "null" : batch.metadata) + "}";
}

}  // namespace troupe::gateway
