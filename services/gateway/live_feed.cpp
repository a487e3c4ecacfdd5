#include "services/gateway/live_feed.hpp"

#include <algorithm>
#include <utility>

#include "common/wire/role_name.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

void append_field(std::string& out, std::string_view name, std::uint64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  append_number(out, value);
}

void append_load(std::string& out, const wire::ClusterReport::ModelLoad& load) {
  out += "{\"model\":";
  append_quoted(out, load.model);
  append_field(out, "running", load.running);
  append_field(out, "waiting", load.waiting);
  append_field(out, "capacity", load.capacity);
  append_field(out, "pages_total", load.pages_total);
  append_field(out, "pages_free", load.pages_free);
  append_field(out, "pages_cached", load.pages_cached);
  append_field(out, "pages_reserved", load.pages_reserved);
  append_field(out, "queued_prompt_tokens", load.queued_prompt_tokens);
  append_field(out, "prompt_tokens", load.prompt_tokens);
  append_field(out, "generated_tokens", load.generated_tokens);
  append_field(out, "cached_tokens", load.cached_tokens);
  out += '}';
}

void append_node(std::string& out, const wire::ClusterReport::Row& row) {
  out += "{\"id\":\"" + to_hex(row.node).substr(0, 8) + "\",\"role\":\"";
  out += wire::role_name(row.role);
  out += "\",\"name\":";
  append_quoted(out, row.name);
  out += ",\"address\":";
  append_quoted(out, row.control_address);
  out += row.draining ? ",\"draining\":true" : ",\"draining\":false";
  out += row.hung ? ",\"hung\":true" : ",\"hung\":false";
  out += row.busy ? ",\"busy\":true" : ",\"busy\":false";
  append_field(out, "silent_ms", row.silent_ms);
  append_field(out, "placed", row.placed);
  append_field(out, "placed_prefills", row.placed_prefills);
  out += ",\"loads\":[";
  for (std::size_t i = 0; i < row.loads.size(); ++i) {
    if (i != 0) out += ',';
    append_load(out, row.loads[i]);
  }
  out += "]}";
}

void append_event(std::string& out, std::string_view name, std::string_view json) {
  out += "event: ";
  out += name;
  out += "\ndata: ";
  out += json;
  out += "\n\n";
}

std::string rows_json(const std::vector<RequestRow>& rows) {
  std::string out = "[";
  for (const RequestRow& row : rows) {
    if (out.size() > 1) out += ',';
    append_row(out, row);
  }
  return out + ']';
}

/// Those of a later picture than `known`.
std::string placements_json(const ClusterPicture& picture, std::uint64_t known) {
  std::string out;
  for (const ClusterPicture::Placement& placement : picture.placements) {
    if (placement.version <= known) continue;
    out += out.empty() ? "[" : ",";
    out += placement.what.json;
  }
  return out.empty() ? out : out + ']';
}

}  // namespace

std::string to_json(const ClusterPicture& picture) {
  std::string out = picture.joined ? "{\"joined\":true" : "{\"joined\":false";
  out += ",\"router\":\"" + to_hex(picture.router).substr(0, 8) + "\",\"nodes\":[";
  for (std::size_t i = 0; i < picture.nodes.size(); ++i) {
    if (i != 0) out += ',';
    append_node(out, picture.nodes[i]);
  }
  return out + "]}";
}

std::string LiveCursor::next(const LiveSources& now) {
  std::string out;
  if (!std::exchange(greeted_, true)) {
    out += "retry: 1000\n";
    append_event(out, "hello", now.hello_json);
    append_event(out, "clock", std::to_string(now.log_ms));
  }
  if (gateway_ != now.gateway_json) append_event(out, "gateway", gateway_ = now.gateway_json);
  if (now.picture && now.picture->version > picture_) {
    append_event(out, "cluster", now.cluster_json);
    const std::string placements = placements_json(*now.picture, picture_);
    if (!placements.empty()) append_event(out, "placements", placements);
    picture_ = now.picture->version;
  }
  if (const auto rows = now.log.changed_since(rows_, kRowsAtOnce); !rows.empty())
    append_event(out, "requests", rows_json(rows));
  return out;
}

LiveFeed::LiveFeed(ClusterConsole* console, const RequestLog& log, std::function<std::string()> gateway_json,
                   std::string hello_json, LiveOptions options)
    : console_(console),
      log_(log),
      gateway_json_(std::move(gateway_json)),
      hello_json_(std::move(hello_json)),
      options_(options),
      thread_([this] { work(); }) {}

LiveFeed::~LiveFeed() {
  close();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool LiveFeed::open(std::shared_ptr<ResponseWriter> writer) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || pages_ >= options_.max_pages) return false;
    ++pages_;
    writer->start_stream(200, "text/event-stream; charset=utf-8");
    coming_.push_back({std::move(writer), {}, {}});
  }
  changed_.notify_all();
  return true;
}

void LiveFeed::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

std::size_t LiveFeed::pages() const {
  const std::lock_guard lock(mutex_);
  return pages_;
}

void LiveFeed::work() {
  std::list<Page> pages;
  std::unique_lock lock(mutex_);
  for (;;) {
    pages.splice(pages.end(), coming_);
    if (closed_) {
      for (const Page& page : std::exchange(pages, {})) page.writer->finish();
      pages_ = 0;
      if (stopping_) return;
      changed_.wait(lock, [this] { return stopping_ || !coming_.empty(); });
      continue;
    }
    if (pages.empty()) {
      changed_.wait(lock, [this] { return closed_ || stopping_ || !coming_.empty(); });
      continue;
    }
    lock.unlock();
    look(pages);
    lock.lock();
    pages_ = pages.size() + coming_.size();
    changed_.wait_for(lock, options_.pause, [this] { return closed_ || stopping_ || !coming_.empty(); });
  }
}

void LiveFeed::look(std::list<Page>& pages) {
  const TimePoint now = std::chrono::steady_clock::now();
  if (console_ != nullptr) {
    if (now >= watch_at_) {
      console_->watch();
      watch_at_ = now + options_.watch_every;
    }
    if (auto picture = console_->picture(); picture != picture_) {
      picture_ = std::move(picture);
      cluster_json_ = to_json(*picture_);
    }
  }
  const std::string gateway = gateway_json_();
  const LiveSources sources{picture_, cluster_json_, log_, gateway, hello_json_, log_.milliseconds(now)};
  std::erase_if(pages, [](const Page& page) { return page.writer->gone(); });
  for (Page& page : pages) {
    if (page.writer->waiting() != 0) continue;  // it still reads the last piece
    std::string events = page.cursor.next(sources);
    if (events.empty() && now - page.told >= options_.alive_every) events = ":\n\n";
    if (events.empty()) continue;
    page.told = now;
    (void)page.writer->write(events);
  }
}

}  // namespace troupe::gateway
