#pragma once
// A directory that two stores of a test share, and that the test can slow down or take away.
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/directory/memory_directory.hpp"

namespace troupe::test {

/// The Redis of a test: the values, and how it behaves.
struct ScriptRedis {
  explicit ScriptRedis(const Clock& clock) : values(clock, 1u << 20) {}
  directory::MemoryDirectory values;
  std::mutex mutex;
  bool away = false;
  bool holds = false;  ///< answers wait for let_go()
  std::vector<std::function<void()>> held;
  int writes = 0;

  std::size_t waiting() {
    const std::lock_guard lock(mutex);
    return held.size();
  }
  void let_go() {
    std::vector<std::function<void()>> now;
    {
      const std::lock_guard lock(mutex);
      holds = false;
      now.swap(held);
    }
    for (const auto& answer : now) answer();
  }
};

/// One process's way to it.
class ScriptDirectory final : public directory::Directory {
 public:
  explicit ScriptDirectory(std::shared_ptr<ScriptRedis> redis) : redis_(std::move(redis)) {}

  void put(const directory::Key& key, std::string value, directory::Got done) override {
    ++redis_->writes;
    answer(done, [&](directory::Got got) { redis_->values.put(key, std::move(value), std::move(got)); });
  }
  void claim(const directory::Key& key, std::string value, directory::Got done) override {
    ++redis_->writes;
    answer(done, [&](directory::Got got) { redis_->values.claim(key, std::move(value), std::move(got)); });
  }
  void get(const std::string& name, directory::Got done) override {
    answer(done, [&](directory::Got got) { redis_->values.get(name, std::move(got)); });
  }
  void erase(const std::string& name, directory::Got done) override {
    answer(done, [&](directory::Got got) { redis_->values.erase(name, std::move(got)); });
  }
  void enter(std::string_view roster, std::string_view member, std::string value, Duration lease,
             directory::Got done) override {
    redis_->values.enter(roster, member, std::move(value), lease, std::move(done));
  }
  void list(std::string_view roster, directory::Listed done) override {
    redis_->values.list(roster, std::move(done));
  }
  void close() override { redis_->let_go(); }
  [[nodiscard]] directory::DirectoryStats stats() const override {
    const std::lock_guard lock(redis_->mutex);
    return {.reachable = !redis_->away};
  }

 private:
  template <class Call>
  void answer(const directory::Got& done, const Call& call) {
    Expected<std::optional<std::string>> value;
    bool away = false;
    {
      const std::lock_guard lock(redis_->mutex);
      away = redis_->away;
    }
    if (away) {
      value = fail(Errc::peer_lost, "away");
    } else {
      call([&](auto got) { value = std::move(got); });
    }
    {
      const std::lock_guard lock(redis_->mutex);
      if (redis_->holds) {
        redis_->held.push_back([done, value] { done(value); });
        return;
      }
    }
    done(value);
  }
  std::shared_ptr<ScriptRedis> redis_;
};

}  // namespace troupe::test
