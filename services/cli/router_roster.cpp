#include "services/cli/router_roster.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "common/directory/redis_directory.hpp"

namespace troupe::cli {

Expected<std::unique_ptr<directory::Directory>> open_shared_directory(const Config& config) {
  const std::string& where = config.text("cluster.directory");
  if (where == "memory" || where == "none") return std::unique_ptr<directory::Directory>();
  const auto address = directory::parse_redis_address(where);
  if (!address)
    return fail(address.error().code, "cluster.directory: " + address.error().detail + ", memory or none");
  directory::RedisOptions redis;
  redis.address = *address;
  redis.password = config.text("cluster.directory_password");
  redis.deadline = config.duration("cluster.directory_deadline");
  return directory::open_redis_directory(std::move(redis));
}

struct RouterRoster::Seen {
  std::mutex mutex;
  std::condition_variable news;
  Addresses addresses;
  std::function<void(const Addresses&)> changed;
};

RouterRoster::RouterRoster(std::unique_ptr<directory::Directory> directory, Duration lease)
    : seen_(std::make_shared<Seen>()),
      roster_(std::move(directory), std::string(directory::kRouters), lease) {}

void RouterRoster::enter(const std::string& address) {
  roster_.enter(address, address);
}

Expected<RouterRoster::Addresses> RouterRoster::first(Duration patience, const std::function<bool()>& stop) {
  roster_.follow([seen = seen_](const directory::Members& members) {
    Addresses addresses;
    for (const auto& [name, address] : members) addresses.push_back(address);
    const std::lock_guard lock(seen->mutex);
    seen->addresses = addresses;
    if (seen->changed) seen->changed(addresses);
    seen->news.notify_all();
  });
  const auto until = std::chrono::steady_clock::now() + patience;
  std::unique_lock lock(seen_->mutex);
  while (seen_->addresses.empty()) {
    if (stop()) return fail(Errc::cancelled, "stopped while it waited for a router");
    if (std::chrono::steady_clock::now() >= until)
      return fail(Errc::deadline_exceeded, "no router has entered the directory yet");
    seen_->news.wait_for(lock, std::chrono::milliseconds(50));
  }
  return seen_->addresses;
}

void RouterRoster::on_change(std::function<void(const Addresses&)> changed) {
  const std::lock_guard lock(seen_->mutex);
  changed(seen_->addresses);  // what came since first()
  seen_->changed = std::move(changed);
}

}  // namespace troupe::cli
