#include "common/directory/roster.hpp"

#include <algorithm>
#include <utility>

namespace troupe::directory {

Roster::Roster(std::unique_ptr<Directory> directory, std::string name, Duration lease)
    : name_(std::move(name)), lease_(lease), directory_(std::move(directory)), thread_([this] { run(); }) {}

Roster::~Roster() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_all();
  thread_.join();
  directory_->close();  // no answer comes after this
}

void Roster::enter(std::string member, std::string value) {
  {
    const std::lock_guard lock(mutex_);
    member_ = std::move(member);
    value_ = std::move(value);
  }
  wake_.notify_all();
}

void Roster::follow(Changed changed) {
  {
    const std::lock_guard lock(mutex_);
    changed_ = std::move(changed);
  }
  wake_.notify_all();
}

void Roster::run() {
  const auto pause = std::min<Duration>(lease_ / 3, std::chrono::seconds(1));
  std::unique_lock lock(mutex_);
  while (!over_) {
    const std::string member = member_, value = value_;
    const bool follows = changed_ != nullptr;
    lock.unlock();
    if (!member.empty()) directory_->enter(name_, member, value, lease_, [](const auto&) {});
    if (follows)
      directory_->list(name_, [this](const Expected<Members>& members) {
        if (members) take(*members);
      });
    lock.lock();
    const auto news = [&] { return over_ || member_ != member || (changed_ != nullptr) != follows; };
    wake_.wait_for(lock, pause, news);
  }
}

void Roster::take(const Members& members) {
  Changed changed;
  {
    const std::lock_guard lock(mutex_);
    if (over_ || members.empty() || members == last_) return;
    last_ = members;
    changed = changed_;
  }
  changed(members);
}

}  // namespace troupe::directory
