#include "services/gateway/key_ring.hpp"

#include <utility>

#include "common/base/log.hpp"
#include "common/security/key_files.hpp"

namespace troupe::gateway {

Expected<std::unique_ptr<KeyRing>> KeyRing::open(KeyRingOptions options) {
  std::unique_ptr<KeyRing> ring(new KeyRing(std::move(options)));
  ring->seen_ = stamp_of(ring->options_.file);
  TROUPE_TRY(ring->read());
  ring->watcher_ = std::thread([raw = ring.get()] { raw->watch(); });
  return ring;
}

KeyRing::~KeyRing() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

std::shared_ptr<const HeldKey> KeyRing::find(std::string_view secret) const {
  std::shared_ptr<const Keys> keys;
  {
    const std::lock_guard lock(mutex_);
    keys = keys_;
  }
  const security::Digest hash = security::sha256(secret);
  std::size_t found = keys->size();
  for (std::size_t i = 0; i < keys->size(); ++i)
    found = security::same((*keys)[i]->key.hash, hash) ? i : found;  // all are compared, whichever it is
  return found == keys->size() ? nullptr : (*keys)[found];
}

std::shared_ptr<const HeldKey> KeyRing::named(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& held : *keys_)
    if (held->key.name == name) return held;
  return nullptr;
}

bool KeyRing::reload() {
  const std::lock_guard reading(reading_);
  seen_ = stamp_of(options_.file);  // what cannot be read is said once, and looked at again when it changes
  const auto done = read();
  if (!done) log::error("api keys not taken, those before stay", {{"error", to_string(done.error())}});
  if (options_.on_reload) options_.on_reload(done.has_value());
  return done.has_value();
}

Expected<void> KeyRing::read() {
  const auto text = security::read_secret_file(options_.file, kLargestApiKeyFile);
  if (!text) return tl::unexpected<Error>(text.error());
  auto parsed = parse_api_keys(*text, options_.file);
  if (!parsed) return tl::unexpected<Error>(std::move(parsed.error()));
  log::info("api keys in force", {{"file", options_.file}, {"keys", parsed->size()}});
  const TimePoint now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  Keys fresh;
  for (ApiKey& key : *parsed) {
    std::shared_ptr<KeyLimits> limits;
    for (const auto& held : *keys_)
      if (held->key.name == key.name) limits = held->limits;
    if (limits) {
      limits->set(key.rates, now);
    } else {
      limits = std::make_shared<KeyLimits>(key.rates, now);
    }
    fresh.push_back(std::make_shared<const HeldKey>(HeldKey{std::move(key), std::move(limits)}));
  }
  keys_ = std::make_shared<const Keys>(std::move(fresh));
  return {};
}

void KeyRing::watch() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, options_.look_every, [this] { return stopping_; })) {
    lock.unlock();
    bool changed = false;
    {
      const std::lock_guard reading(reading_);
      changed = stamp_of(options_.file) != seen_;
    }
    if (changed) reload();
    lock.lock();
  }
}

}  // namespace troupe::gateway
