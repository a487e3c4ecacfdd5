#include "services/gateway/run_starter.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "services/gateway/owner.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kKeyHeader = "Idempotency-Key";

wire::RequestRecord record_of(const Call& call, const PreparedRun& run, std::string body) {
  wire::RequestRecord record;
  record.request = call.request.id;
  record.chat = run.request.chat;
  record.stream = run.request.stream;
  record.body = recorded_body(run.form.api, std::move(body));
  if (record.chat) record.prompt = run.prompts.front();
  record.seed = run.request.sampling.seed;
  record.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  record.model = run.served.id;
  record.owner = call.visit->caller().owner;
  return record;
}

}  // namespace

std::string recorded_body(std::string_view api, std::string body) {
  if (!api.empty()) body.insert(0, std::string(api) + '\n');
  return body;
}

RecordedBody split_body(const wire::RequestRecord& record) {
  const std::string_view body = record.body;
  const auto end = body.find('\n');
  const std::string_view api = body.substr(0, end == std::string_view::npos ? 0 : end);
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (api.empty() || !std::ranges::all_of(api, is_letter)) return {{}, body};
  return {api, body.substr(api.size() + 1)};
}

RunStarter::RunStarter(Dispatcher& dispatcher, RequestStore* requests, Duration deadline, Again prepare_again)
    : dispatcher_(dispatcher),
      requests_(requests),
      deadline_(deadline),
      prepare_again_(std::move(prepare_again)) {}

bool RunStarter::records(const Call& call, const PreparedRun& run, const std::string& body) const {
  if (requests_ == nullptr || body.size() > requests_->options().max_body_bytes) return false;
  if (run.request.chat && run.prompts.front().size() > wire::kMaxPromptTokens.max) return false;
  if (!run.form.repeatable()) return false;
  const bool key = !call.request.header(kKeyHeader).empty();
  // What was drafted is not the same another time, so a stream that tells it cannot be taken up again.
  return key || (run.request.stream && !run.request.drafted);
}

RecordedRun RunStarter::ties(const wire::RequestRecord& record, std::uint64_t from, bool kept) const {
  const auto agree = [requests = requests_, id = record.request](std::uint64_t mine, auto agreed) {
    requests->agree_cached(id, mine, std::move(agreed));
  };
  return {record.request, record.created, from, kept, agree, {}};
}

std::shared_ptr<GenerateRun> RunStarter::launch(Call call, PreparedRun run) {
  const auto deadline = call.arrived + deadline_.load();
  const auto writer = call.writer;
  auto made = std::make_shared<GenerateRun>(std::move(call), std::move(run), dispatcher_, deadline);
  writer->post([made] { made->start(); });
  return made;
}

void RunStarter::start(Call call, PreparedRun run, std::string body) {
  if (call.request.header(kKeyHeader).size() > kMaxIdempotencyKey)
    return call.reply(to_api(Error{Errc::invalid_argument, "an idempotency key has at most 255 characters"}));
  if (!records(call, run, body)) {
    (void)launch(std::move(call), std::move(run));
    return;
  }
  wire::RequestRecord record = record_of(call, run, std::move(body));
  if (!call.request.header(kKeyHeader).empty())
    return claim(std::move(call), std::move(run), std::move(record));
  run.recorded = ties(record, 0, false);
  run.recorded->drop = [requests = requests_, id = record.request] { requests->drop(id); };
  const auto started = launch(std::move(call), std::move(run));
  requests_->keep(record, [started] { started->record_kept(); });
}

void RunStarter::claim(Call call, PreparedRun run, wire::RequestRecord record) {
  const RequestId key = scoped_key(record.owner, call.request.header(kKeyHeader));
  auto body = std::make_shared<std::string>(record.body);  // the directory's answer is copyable
  auto held = std::make_shared<std::pair<Call, PreparedRun>>(std::move(call), std::move(run));
  requests_->claim(key, std::move(record), [this, held, body](RequestStore::Claim claim) {
    auto& [mine, prepared] = *held;
    if (claim.own) {
      prepared.recorded = ties(claim.record, 0, true);
      (void)launch(std::move(mine), std::move(prepared));
      return;
    }
    if (claim.record.body != *body || claim.record.chat != prepared.request.chat)
      return mine.reply(to_api(Error{Errc::idempotency_mismatch, {}}));
    prepare_again_(std::move(mine), std::move(claim.record), 0);
  });
}

void RunStarter::again(Call call, PreparedRun run, const wire::RequestRecord& record, std::uint64_t from) {
  run.recorded = ties(record, from, true);
  (void)launch(std::move(call), std::move(run));
}

}  // namespace troupe::gateway
