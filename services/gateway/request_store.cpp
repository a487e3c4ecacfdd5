#include "services/gateway/request_store.hpp"

#include <charconv>
#include <utility>

namespace troupe::gateway {
namespace {

using directory::cached_key;
using directory::idempotency_key;
using directory::request_key;

std::string to_value(const wire::RequestRecord& record) {
  const std::vector<std::uint8_t> bytes = wire::encode(record);
  return {bytes.begin(), bytes.end()};
}

std::optional<wire::RequestRecord> from_value(const std::string& value) {
  auto record =
      wire::decode<wire::RequestRecord>({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
  if (!record) return std::nullopt;  // of a newer build, or not ours
  return std::move(*record);
}

std::optional<std::uint64_t> to_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

const metrics::Declaration kKept{"troupe_gateway_records_kept_total",
                                 "Requests recorded so that they can be resumed."};
const metrics::Declaration kRepeated{"troupe_gateway_requests_repeated_total",
                                     "Requests that came again under their idempotency key."};
const metrics::Declaration kResumed{"troupe_gateway_streams_resumed_total",
                                    "Streams taken up again by their clients."};
const metrics::Declaration kUnknown{"troupe_gateway_records_unknown_total",
                                    "Records that were asked for and not found."};
const metrics::Declaration kLost{
    "troupe_gateway_directory_failures_total",
    "Calls that the directory did not take or answer: other gateways know nothing of them."};
const metrics::Declaration kReachable{"troupe_gateway_directory_reachable",
                                      "1 when the directory answers, or none is used.", metrics::Kind::gauge};

}  // namespace

RecordMetrics::RecordMetrics(metrics::Registry& registry)
    : kept(registry.counter(kKept)),
      repeated(registry.counter(kRepeated)),
      resumed(registry.counter(kResumed)),
      unknown(registry.counter(kUnknown)),
      lost(registry.counter(kLost)),
      reachable(registry.gauge(kReachable)) {}

/// One key under way: the request that asked first, and those that came while it was asking.
struct RequestStore::Settling {
  wire::RequestRecord record;
  std::function<void(Claim)> done;
  std::vector<std::function<void(Claim)>> later;
};

RequestStore::RequestStore(const RequestStoreOptions& options, const Clock& clock,
                           std::unique_ptr<directory::Directory> shared, RecordMetrics metrics)
    : options_(options), table_(clock, options.table_bytes), metrics_(metrics), shared_(std::move(shared)) {}

RequestStore::~RequestStore() = default;

void RequestStore::close() {
  if (shared_) shared_->close();
}

void RequestStore::put_shared(const directory::Key& key, std::string value, std::function<void()> done) {
  if (!shared_) return done();
  shared_->put(key, std::move(value), [this, done = std::move(done)](const auto& answer) {
    if (!answer) metrics_.lost.add();
    done();
  });
}

void RequestStore::keep(const wire::RequestRecord& record, std::function<void()> done) {
  metrics_.kept.add();
  const auto key = request_key(record.request, options_.record_time);
  std::string value = to_value(record);
  table_.set(key, value);
  put_shared(key, std::move(value), std::move(done));
}

void RequestStore::drop(const RequestId& id) {
  const std::string name = request_key(id, {}).name;
  table_.erase(name, [](const auto&) {});
  if (!shared_) return;
  shared_->erase(name, [this](const auto& answer) {
    if (!answer) metrics_.lost.add();
  });
}

std::optional<wire::RequestRecord> RequestStore::own_record(const RequestId& id) {
  const auto value = table_.find(request_key(id, {}).name);
  return value ? from_value(*value) : std::nullopt;
}

void RequestStore::claim(const RequestId& key, wire::RequestRecord record, std::function<void(Claim)> done) {
  const auto name = idempotency_key(key, options_.record_time);
  auto settling = std::make_shared<Settling>();  // shared with the directory's answer
  {
    std::unique_lock lock(mutex_);
    if (const auto at = settling_.find(key); at != settling_.end()) {
      metrics_.repeated.add();
      at->second->later.push_back(std::move(done));
      return;
    }
    if (const auto first = table_.find(name.name)) {
      const auto id = id_from_hex<RequestId>(*first);
      if (auto known = id ? own_record(*id) : std::nullopt) {
        lock.unlock();
        metrics_.repeated.add();
        return done({false, std::move(*known)});
      }
    }
    settling->record = std::move(record);
    settling->done = std::move(done);
    settling_.emplace(key, settling);
  }
  // First the record, then the name that leads to it: who finds the name finds the record.
  keep(settling->record, [] {});
  const std::string mine = to_hex(settling->record.request);
  if (!shared_) return settle(key, settling, settling->record, true);
  shared_->claim(name, mine, [this, key, settling, mine](auto holder) {
    if (!holder) metrics_.lost.add();
    if (!holder || !*holder || **holder == mine) return settle(key, settling, settling->record, true);
    adopt(key, settling, **holder);
  });
}

/// Another gateway had the key first.
void RequestStore::adopt(const RequestId& key, const std::shared_ptr<Settling>& settling,
                         const std::string& holder) {
  const std::string own = request_key(settling->record.request, {}).name;
  shared_->erase(own, [](const auto&) {});
  table_.erase(own, [](const auto&) {});
  const auto id = id_from_hex<RequestId>(holder);
  if (!id) return settle(key, settling, settling->record, true);
  shared_->get(request_key(*id, {}).name, [this, key, settling](auto value) {
    auto first = value && *value ? from_value(**value) : std::nullopt;
    if (!first) {  // it cannot be made again, so this one stands by itself
      metrics_.unknown.add();
      return settle(key, settling, settling->record, true);
    }
    settle(key, settling, std::move(*first), false);
  });
}

void RequestStore::settle(const RequestId& key, const std::shared_ptr<Settling>& settling,
                          wire::RequestRecord first, bool own) {
  table_.set(request_key(first.request, options_.record_time), to_value(first));
  table_.set(idempotency_key(key, options_.record_time), to_hex(first.request));
  std::vector<std::function<void(Claim)>> later;
  {
    const std::lock_guard lock(mutex_);
    settling_.erase(key);
    later.swap(settling->later);
  }
  if (!own) metrics_.repeated.add();
  for (const auto& done : later) done({false, first});
  settling->done({own, std::move(first)});
}

void RequestStore::find(const RequestId& id, std::function<void(Expected<wire::RequestRecord>)> done) {
  const auto unknown = [this, id](const std::string& why) {
    metrics_.unknown.add();
    return fail(Errc::request_unknown, "no record of request " + to_hex(id) + why);
  };
  if (auto known = own_record(id)) return done(std::move(*known));
  if (!shared_) return done(unknown(""));
  shared_->get(request_key(id, {}).name, [this, unknown, done = std::move(done)](auto value) {
    if (!value) {
      metrics_.lost.add();
      return done(unknown("; the directory: " + to_string(value.error())));
    }
    auto record = *value ? from_value(**value) : std::nullopt;
    if (!record) return done(unknown(""));
    done(std::move(*record));
  });
}

void RequestStore::agree_cached(const RequestId& id, std::uint64_t mine,
                                std::function<void(std::uint64_t)> done) {
  const auto key = cached_key(id, options_.record_time);
  if (const auto known = table_.find(key.name)) return done(to_number(*known).value_or(mine));
  const auto settle = [this, key, mine, done = std::move(done)](const std::string& value) {
    table_.set(key, value);
    done(to_number(value).value_or(mine));
  };
  if (!shared_) return settle(std::to_string(mine));
  shared_->claim(key, std::to_string(mine), [this, settle, mine](auto holder) {
    if (!holder) metrics_.lost.add();
    settle(holder && *holder ? **holder : std::to_string(mine));
  });
}

void RequestStore::refresh() const {
  metrics_.reachable.set(!shared_ || shared_->stats().reachable ? 1 : 0);
}

}  // namespace troupe::gateway
