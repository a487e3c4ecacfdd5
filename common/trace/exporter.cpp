#include "common/trace/exporter.hpp"

#include <algorithm>
#include <iterator>

#include "common/base/log.hpp"
#include "common/http/client.hpp"

namespace troupe::trace {
namespace {
constexpr std::size_t kLargestAnswer = 64U << 10;
}

Expected<std::unique_ptr<Exporter>> Exporter::create(ExporterOptions options) {
  auto url = parse_url(options.endpoint);
  if (!url) return fail(Errc::config_invalid, "trace.otlp_endpoint: " + url.error().detail);
  return std::unique_ptr<Exporter>(new Exporter(std::move(options), std::move(*url)));
}

Exporter::Exporter(ExporterOptions options, Url url)
    : options_(std::move(options)), url_(std::move(url)), thread_([this] { loop(); }) {}

Exporter::~Exporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Exporter::offer(const Span& span) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= options_.queue) {
      ++counters_.dropped;
      return;
    }
    queue_.push_back(span);
    if (queue_.size() != 1 && queue_.size() < options_.batch) return;
  }
  changed_.notify_all();
}

ExporterCounters Exporter::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void Exporter::loop() {
  std::unique_lock lock(mutex_);
  bool reached = true;
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    changed_.wait_for(lock, options_.linger, [&] { return stopping_ || queue_.size() >= options_.batch; });
    const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.batch));
    std::vector<Span> batch(std::make_move_iterator(queue_.begin()),
                            std::make_move_iterator(queue_.begin() + count));
    queue_.erase(queue_.begin(), queue_.begin() + count);
    lock.unlock();
    const bool taken = send(batch);
    if (taken != reached)  // once for each change, not for each batch
      taken ? log::info("spans reach their collector", {{"endpoint", options_.endpoint}})
            : log::warn("spans do not reach their collector", {{"endpoint", options_.endpoint}});
    reached = taken;
    lock.lock();
    (taken ? counters_.exported : counters_.failed) += batch.size();
    if (!taken && stopping_) {
      counters_.dropped += queue_.size();
      return;
    }
  }
}

bool Exporter::send(const std::vector<Span>& spans) const {
  HttpRequest request;
  request.method = "POST";
  request.path = url_.path;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = to_otlp(options_.origin, spans);
  auto answer = HttpAnswer::open(url_, request, -1, {options_.patience, options_.patience});
  if (!answer) return false;
  const bool taken = answer->status() / 100 == 2;
  return answer->read_all(kLargestAnswer).has_value() && taken;
}

}  // namespace troupe::trace
