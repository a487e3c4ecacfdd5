#include "services/gateway/responses/store.hpp"

#include <memory>
#include <utility>

namespace troupe::gateway::responses {
namespace {

// The first byte of a value in the table.
constexpr char kShared = 'S', kAlone = 'A';

}  // namespace

std::optional<ResponseStore::Own> ResponseStore::own(const std::string& name) {
  auto value = table_.find(name);
  if (!value || value->empty()) return std::nullopt;
  const bool shared = value->front() == kShared;
  value->erase(0, 1);
  return Own{shared, std::move(*value)};
}

void ResponseStore::forget(const std::string& name) {
  table_.erase(name, [](const auto&) {});
}

void ResponseStore::uncount(const RequestId& id) {
  std::erase_if(kept_, [&](const Kept& kept) {
    if (kept.id == id) kept_bytes_ -= kept.bytes;
    return kept.id == id;
  });
}

/// Counts a value, and says which ones have to go for it.
std::vector<RequestId> ResponseStore::make_room(const RequestId& id, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.now();
  uncount(id);
  kept_.push_back({id, bytes, now + options_.time});
  kept_bytes_ += bytes;
  std::vector<RequestId> gone;
  while (kept_.size() > 1 && (kept_bytes_ > options_.most_bytes || kept_.front().ends <= now)) {
    if (kept_.front().ends > now) gone.push_back(kept_.front().id);
    kept_bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
  return gone;
}

void ResponseStore::put(const RequestId& id, std::string value, std::function<void()> done) {
  for (const RequestId& oldest : make_room(id, value.size())) erase(oldest, [](const auto&) {});
  const auto key = directory::response_key(id, options_.time);
  if (shared_ == nullptr) {
    table_.set(key, kAlone + value);
    return done();
  }
  auto kept = std::make_shared<std::string>(value);  // the directory's answer is copyable
  shared_->put(key, std::move(value), [this, key, kept, done = std::move(done)](const auto& answer) {
    table_.set(key, (answer ? kShared : kAlone) + *kept);
    done();
  });
}

void ResponseStore::get(const RequestId& id, Got done) {
  const std::string name = directory::response_key(id, {}).name;
  const auto alone = [this, name]() -> std::optional<std::string> {
    auto found = own(name);
    return found ? std::optional(std::move(found->value)) : std::nullopt;
  };
  if (shared_ == nullptr) return done(alone());
  shared_->get(name, [this, name, alone, done = std::move(done)](auto got) {
    if (got && *got) return done(std::move(got));
    if (!got) {
      auto found = alone();
      return found ? done(std::move(found)) : done(tl::unexpected<Error>(std::move(got.error())));
    }
    auto found = own(name);
    if (!found || !found->shared) return done(found ? std::optional(std::move(found->value)) : std::nullopt);
    forget(name);
    done(std::nullopt);
  });
}

void ResponseStore::erase(const RequestId& id, std::function<void(Expected<void>)> done) {
  {
    const std::lock_guard lock(mutex_);
    uncount(id);
  }
  const std::string name = directory::response_key(id, {}).name;
  forget(name);
  if (shared_ == nullptr) return done({});
  shared_->erase(name, [done = std::move(done)](const auto& answer) {
    answer ? done({}) : done(tl::unexpected<Error>(answer.error()));
  });
}

}  // namespace troupe::gateway::responses
