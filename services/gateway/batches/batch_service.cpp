#include "services/gateway/batches/batch_service.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "common/base/log.hpp"
#include "services/gateway/batches/batch_request.hpp"
#include "services/gateway/batches/content_stream.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kFiles = "/v1/files", kBatches = "/v1/batches";
constexpr std::int64_t kFormBytes = 1U << 20;          // of an upload besides its file
constexpr std::int64_t kWholeBytes = 1U << 20;         // a longer content is sent in pieces
constexpr std::int64_t kBatchLife = 30LL * 24 * 3600;  // seconds after its window
constexpr std::size_t kMostUploads = 16;  // at a time: what comes in is on the disk before it counts
constexpr Duration kLookAgain = std::chrono::seconds(5);
constexpr Duration kSweep = std::chrono::minutes(1);

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// "/v1/files/ID/PART": the id and the part, both "" where they are not there.
struct Target {
  std::string_view id, part;
  bool matches = false;
};

Target target_of(std::string_view path, std::string_view root) {
  if (!path.starts_with(root)) return {};
  path.remove_prefix(root.size());
  if (path.empty()) return {{}, {}, true};
  if (path.front() != '/') return {};
  path.remove_prefix(1);
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}, !path.empty()};
  return {path.substr(0, slash), path.substr(slash + 1), slash > 0};
}

std::string file_json(const FileRecord& file) {
  std::string out =
      "{\"id\":\"" + file.id + "\",\"object\":\"file\",\"bytes\":" + std::to_string(file.bytes) +
      ",\"created_at\":" + std::to_string(file.created) +
      ",\"expires_at\":" + (file.expires == 0 ? "null" : std::to_string(file.expires)) + ",\"filename\":";
  append_quoted(out, file.name);
  out += ",\"purpose\":";
  append_quoted(out, file.purpose);
  return out + ",\"status\":\"processed\",\"status_details\":null}";
}

/// What a client wrote, where it is what an id may be.
std::string shown(std::string_view id) {
  const std::string text = percent_decoded(id);
  return text.size() > 128 || invalid_utf8_at(text) ? "that id" : text;
}

ApiError not_kept() {
  return {501, "not_implemented", "", "This gateway keeps no files and batches: gateway.batch.path is none.",
          0};
}

ApiError no_such(std::string_view kind, std::string_view id) {
  return {404, "not_found", "id", "No such " + std::string(kind) + " object: " + shown(id), 0};
}

}  // namespace

BatchService::BatchService(BatchServiceOptions options, LineHost& host, metrics::Registry& registry)
    : options_(std::move(options)), host_(host), metrics_(registry) {}

BatchService::~BatchService() {
  stop();
}

Expected<std::unique_ptr<BatchService>> BatchService::start(BatchServiceOptions options, LineHost& host,
                                                            metrics::Registry& registry) {
  std::unique_ptr<BatchService> service(new BatchService(std::move(options), host, registry));
  if (service->options_.folder.empty()) return service;
  const auto opened = std::make_shared<std::promise<Expected<void>>>();
  service->thread_->post([raw = service.get(), opened] {
    opened->set_value(raw->options_.required ? raw->open() : Expected<void>());
    if (!raw->options_.required) raw->take_up();
    raw->sweep();
  });
  if (auto result = opened->get_future().get(); !result)
    return tl::unexpected<Error>(std::move(result.error()));
  return service;
}

Expected<void> BatchService::open() {
  if (runner_) return {};
  auto opened = BatchStore::open(options_.folder);
  if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
  store_.emplace(std::move(*opened));
  auto runner = std::make_unique<BatchRunner>(options_.runner, *store_, thread_, host_, metrics_);
  if (!taking_) runner->stop_taking();
  if (auto resumed = runner->resume(); !resumed) {
    store_.reset();
    return resumed;
  }
  runner_ = std::move(runner);
  metrics_.open.set(1);
  return {};
}

/// What an earlier process left goes on without being asked for; perhaps it has not ended yet.
void BatchService::take_up() {
  std::error_code error;
  if (runner_ || !std::filesystem::exists(options_.folder / kBatchDatabase, error)) return;
  if (const auto opened = open(); !opened) {
    log::warn("batches cannot be taken up", {{"error", to_string(opened.error())}});
    thread_->post_at(std::chrono::steady_clock::now() + kLookAgain, [this] { take_up(); });
  }
}

void BatchService::sweep() {
  const std::int64_t now = unix_seconds();
  if (store_) {
    if (const auto swept = store_->sweep(now, now - kBatchLife); !swept)
      log::warn("old files cannot be removed", {{"error", to_string(swept.error())}});
  }
  thread_->post_at(std::chrono::steady_clock::now() + kSweep, [this] { sweep(); });
}

Parsed<BatchStore*> BatchService::store() {
  if (options_.folder.empty()) return tl::unexpected<ApiError>(not_kept());
  if (auto opened = open(); !opened) {
    ApiError error{503, "batch_store_unavailable", "",
                   "Files and batches cannot be kept: " + opened.error().detail, 30};
    return tl::unexpected<ApiError>(std::move(error));
  }
  return &*store_;
}

std::optional<BodyLimit> BatchService::upload_limit(const Request& head, const Caller& caller) {
  if (head.method != "POST" || head.path != kFiles) return std::nullopt;
  if (options_.folder.empty()) return BodyLimit{.bytes = 0, .beyond = not_kept()};
  if (uploads_->fetch_add(1) >= kMostUploads) {
    uploads_->fetch_sub(1);
    return BodyLimit{.bytes = 0,
                     .beyond = ApiError{429, "too_many_uploads", "", "Too many files come in at this time.", 5}};
  }
  const std::shared_ptr<void> place(nullptr, [uploads = uploads_](void*) { uploads->fetch_sub(1); });
  auto sink = std::make_shared<FileUpload>(
      thread_, [this] { return store(); }, options_.files, caller.owner,
      std::string(head.header("Content-Type")), place);
  return BodyLimit{.bytes = static_cast<std::size_t>(options_.files.file_bytes + kFormBytes),
                   .sink = std::move(sink)};
}

void BatchService::stop_taking() {
  thread_->post([this] {
    taking_ = false;
    if (runner_) runner_->stop_taking();
  });
}

void BatchService::stop() {
  if (std::exchange(stopped_, true)) return;
  const auto abandoned = std::make_shared<std::promise<void>>();
  thread_->post([this, abandoned] {
    if (runner_) runner_->abandon();
    abandoned->set_value();
  });
  abandoned->get_future().wait();
  thread_->stop();
  metrics_.open.set(0);
}

void BatchService::serve(Call call) {
  const auto shared = std::make_shared<Call>(std::move(call));
  thread_->post([this, shared] { answer(*shared); });
}

void BatchService::answer(Call& call) {
  auto found = store();
  if (!found) return call.reply(found.error());
  const std::string path = call.request.path;
  if (const Target files = target_of(path, kFiles); files.matches)
    return answer_files(call, **found, files.id, files.part);
  const Target batches = target_of(path, kBatches);
  answer_batches(call, **found, batches.id, batches.part);
}

void BatchService::answer_files(Call& call, BatchStore& store, std::string_view id, std::string_view part) {
  if (id.empty()) return call.request.method == "POST" ? create_file(call) : list_files(call, store);
  const auto file = store.file(call.visit->caller().owner, std::string(id), unix_seconds());
  if (!file) return call.reply(to_api(file.error()));
  if (!*file) return call.reply(no_such("File", id));
  if (part == "content") return send_content(call, store, **file);
  if (call.request.method == "DELETE") return remove_file(call, store, **file);
  call.reply_json(file_json(**file));
}

void BatchService::create_file(Call& call) {
  const auto upload = std::dynamic_pointer_cast<FileUpload>(call.request.sink);
  if (!upload)
    return call.reply(
        ApiError{400, "malformed_multipart", "", "the body is no multipart/form-data: it is empty", 0});
  auto file = upload->finish(unix_seconds());
  if (!file) return call.reply(file.error());
  call.reply_json(file_json(*file));
}

void BatchService::list_files(Call& call, BatchStore& store) {
  auto page = parse_page(call.request.query, 10'000, 10'000);
  if (!page) return call.reply(page.error());
  const std::int64_t limit = page->limit++;
  const auto files = store.files(call.visit->caller().owner, *page, unix_seconds());
  if (!files) return call.reply(to_api(files.error()));
  call.reply_json(list_json(*files, limit, file_json, [](const FileRecord& file) { return file.id; }));
}

void BatchService::remove_file(Call& call, BatchStore& store, const FileRecord& file) {
  const auto used = store.in_use(file.id);
  if (!used) return call.reply(to_api(used.error()));
  if (*used)
    return call.reply(ApiError{409, "file_in_use", "id",
                               "A batch that has not ended reads this file: cancel it first.", 0});
  if (const auto removed = store.remove_file(file.owner, file.id); !removed)
    return call.reply(to_api(removed.error()));
  call.reply_json("{\"id\":\"" + file.id + "\",\"object\":\"file\",\"deleted\":true}");
}

void BatchService::send_content(Call& call, BatchStore& store, const FileRecord& file) {
  auto content = FileReader::open(store.content_of(file.id));
  if (!content) return call.reply(no_such("File", file.id));
  if (file.bytes > kWholeBytes)
    return std::make_shared<ContentStream>(std::move(call), std::move(*content), thread_)->start();
  auto bytes = content->read(0, static_cast<std::size_t>(file.bytes));
  if (!bytes) return call.reply(to_api(bytes.error()));
  call.reply(Response{200, "application/octet-stream", std::move(*bytes), {}});
}

void BatchService::answer_batches(Call& call, BatchStore& store, std::string_view id, std::string_view part) {
  if (id.empty())
    return call.request.method == "POST" ? create_batch(call, store) : list_batches(call, store);
  auto batch = store.batch(call.visit->caller().owner, std::string(id));
  if (!batch) return call.reply(to_api(batch.error()));
  if (!*batch) return call.reply(no_such("Batch", id));
  if (part.empty()) return call.reply_json(to_json(**batch));
  const auto cancelled = runner_->cancel(std::move(**batch));
  if (!cancelled) return call.reply(cancelled.error());
  call.reply_json(to_json(*cancelled));
}

void BatchService::create_batch(Call& call, BatchStore& store) {
  auto batch = parse_batch(call.request.body);
  if (!batch) return call.reply(batch.error());
  const Caller& caller = call.visit->caller();
  const std::int64_t now = unix_seconds();
  const auto file = store.file(caller.owner, batch->input_file, now);
  if (!file) return call.reply(to_api(file.error()));
  if (!*file) {
    ApiError error = no_such("File", batch->input_file);
    error.status = 400;
    error.param = "input_file_id";
    return call.reply(error);
  }
  if ((*file)->purpose != "batch")
    return call.reply(ApiError{400, "invalid_value", "input_file_id",
                               "input_file_id: expected a file of the purpose 'batch'", 0});
  if (runner_->open(caller.owner) >= options_.open_batches)
    return call.reply(ApiError{429, "batch_limit_exceeded", "",
                               "You have " + std::to_string(options_.open_batches) +
                                   " batches that have not ended, the most that there may be.",
                               60});
  batch->id = "batch_" + to_hex(random_id<RequestId>());
  batch->owner = caller.owner;
  batch->tenant = caller.tenant;
  batch->key = caller.name();
  batch->begin(now, kBatchWindow);
  if (auto added = store.add_batch(*batch); !added) return call.reply(to_api(added.error()));
  call.reply_json(to_json(*batch));
  runner_->add(std::move(*batch));
}

void BatchService::list_batches(Call& call, BatchStore& store) {
  auto page = parse_page(call.request.query, 20, 100);
  if (!page) return call.reply(page.error());
  const std::int64_t limit = page->limit++;
  const auto batches = store.batches(call.visit->caller().owner, *page);
  if (!batches) return call.reply(to_api(batches.error()));
  call.reply_json(list_json(
      *batches, limit, [](const Batch& batch) { return to_json(batch); },
      [](const Batch& batch) { return batch.id; }));
}

}  // namespace troupe::gateway
