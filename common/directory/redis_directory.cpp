#include "common/directory/redis_directory.hpp"

#include <algorithm>

namespace troupe::directory {
namespace {

std::string milliseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return std::to_string(std::max<std::int64_t>(1, count));
}

/// Passes element 0 of the last answer on.
RedisDone last_value(Got done) {
  return [done = std::move(done)](Expected<std::vector<RedisAnswer>> answers) {
    if (!answers) return done(tl::unexpected<Error>(std::move(answers.error())));
    done(answers->empty() || answers->back().empty() ? std::nullopt : std::move(answers->back().front()));
  };
}

RedisDone no_value(Got done) {
  return [done = std::move(done)](const Expected<std::vector<RedisAnswer>>& answers) {
    if (!answers) return done(tl::unexpected<Error>(answers.error()));
    done(std::nullopt);
  };
}

class RedisDirectory final : public Directory {
 public:
  explicit RedisDirectory(RedisOptions options) : connection_(RedisConnection::open(std::move(options))) {}

  void put(const Key& key, std::string value, Got done) override {
    connection_->call({{"SET", key.name, std::move(value), "PX", milliseconds(key.ttl)}},
                      no_value(std::move(done)));
  }
  // SET with NX and GET together came with Redis 7: two commands in one piece do the same on any.
  void claim(const Key& key, std::string value, Got done) override {
    connection_->call(
        {{"SET", key.name, std::move(value), "PX", milliseconds(key.ttl), "NX"}, {"GET", key.name}},
        last_value(std::move(done)));
  }
  void get(const std::string& name, Got done) override {
    connection_->call({{"GET", name}}, last_value(std::move(done)));
  }
  void erase(const std::string& name, Got done) override {
    connection_->call({{"DEL", name}}, no_value(std::move(done)));
  }
  void enter(std::string_view roster, std::string_view member, std::string value, Duration lease,
             Got done) override {
    const Key key = member_key(roster, member, lease);
    connection_->call({{"SET", key.name, std::move(value), "PX", milliseconds(lease)},
                       {"SADD", std::string(roster), std::string(member)}},
                      no_value(std::move(done)));
  }

  void list(std::string_view roster, Listed done) override {
    connection_->call({{"SMEMBERS", std::string(roster)}},
                      [this, roster = std::string(roster), done = std::move(done)](auto answers) {
                        if (!answers) return done(tl::unexpected<Error>(std::move(answers.error())));
                        std::vector<std::string> names;
                        for (auto& name : answers->front())
                          if (name) names.push_back(std::move(*name));
                        list_values(roster, std::move(names), done);
                      });
  }

  void close() override { connection_->close(); }
  [[nodiscard]] DirectoryStats stats() const override { return connection_->stats(); }

 private:
  void list_values(const std::string& roster, std::vector<std::string> names, const Listed& done) {
    if (names.empty()) return done(Members{});
    std::sort(names.begin(), names.end());
    RedisCommand ask{"MGET"};
    for (const std::string& name : names) ask.push_back(member_key(roster, name, {}).name);
    connection_->call({std::move(ask)}, [this, roster, names, done](auto answers) {
      if (!answers) return done(tl::unexpected<Error>(std::move(answers.error())));
      Members members;
      RedisCommand forget{"SREM", roster};
      RedisAnswer& values = answers->front();
      for (std::size_t i = 0; i < names.size() && i < values.size(); ++i) {
        if (values[i])
          members.emplace_back(names[i], std::move(*values[i]));
        else
          forget.push_back(names[i]);
      }
      if (forget.size() > 2) connection_->call({std::move(forget)}, [](const auto&) {});
      done(std::move(members));
    });
  }

  std::unique_ptr<RedisConnection> connection_;
};

}  // namespace

std::unique_ptr<Directory> open_redis_directory(RedisOptions options) {
  return std::make_unique<RedisDirectory>(std::move(options));
}

}  // namespace troupe::directory
