#include "common/directory/redis_connection.hpp"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/log.hpp"

namespace troupe::directory {
namespace {

TimePoint time_now() {
  return std::chrono::steady_clock::now();
}

/// One element of an answer. Errors: io_failed.
Expected<std::optional<std::string>> read_scalar(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return std::nullopt;
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply.integer);
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return std::string(reply.str, reply.len);
    case REDIS_REPLY_ERROR:
      return fail(Errc::io_failed, std::string(reply.str, reply.len));
    default:
      return fail(Errc::io_failed, "an answer of an unexpected kind");
  }
}

Expected<RedisAnswer> read_answer(const redisReply& reply) {
  RedisAnswer answer;
  const bool list = reply.type == REDIS_REPLY_ARRAY;
  for (std::size_t i = 0; i < (list ? reply.elements : 1); ++i) {
    auto element = read_scalar(list ? *reply.element[i] : reply);
    if (!element) return tl::unexpected<Error>(std::move(element.error()));
    answer.push_back(std::move(*element));
  }
  return answer;
}

class Connection final : public RedisConnection {
 public:
  explicit Connection(RedisOptions options)
      : options_(std::move(options)),
        wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        pause_(options_.first_pause) {
    TROUPE_CHECK(wake_fd_ >= 0, "no descriptor for the directory's thread");
    thread_ = std::thread([this] { run(); });
  }

  ~Connection() override {
    end();
    ::close(wake_fd_);
  }

  void close() override { end(); }

  void call(std::vector<RedisCommand> commands, RedisDone done) override {
    Call call = make_call(std::move(commands), std::move(done));
    for (const RedisCommand& command : call.commands)
      for (const std::string& word : command) call.bytes += word.size();
    calls_ += 1;
    if (auto refused = enqueue(call); !refused) {
      failures_ += 1;
      call.done(tl::unexpected<Error>(std::move(refused.error())));
    }
  }

  DirectoryStats stats() const override {
    const std::lock_guard lock(mutex_);
    return {up_, calls_, failures_, losses_, open_calls_};
  }

 private:
  struct Call {
    std::vector<RedisCommand> commands;
    RedisDone done;
    std::vector<RedisAnswer> answers;
    std::optional<Error> error;
    TimePoint deadline;
    std::size_t bytes = 0;
    std::size_t unanswered = 0;  ///< commands
  };
  enum class State : std::uint8_t { away, connecting, up };

  [[nodiscard]] Call make_call(std::vector<RedisCommand> commands, RedisDone done) const {
    Call call;
    call.unanswered = commands.size();
    call.commands = std::move(commands);
    call.done = std::move(done);
    call.deadline = time_now() + options_.deadline;
    return call;
  }

  /// Errors: the call was not taken.
  Expected<void> enqueue(Call& call) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return fail(Errc::cancelled, "the directory closes");
      if (away_) return fail(Errc::peer_lost, "the directory is not reachable");
      if (open_calls_ >= options_.max_calls || open_bytes_ + call.bytes > options_.max_bytes)
        return fail(Errc::queue_full, std::to_string(open_calls_) + " calls wait for the directory");
      ++open_calls_;
      open_bytes_ += call.bytes;
      incoming_.push_back(std::move(call));
    }
    wake();
    return {};
  }

  void end() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopping_, true)) return;
    }
    wake();
    thread_.join();
  }

  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
  }

  // From here on: the connection's thread.

  void run() {
    for (;;) {
      std::deque<Call> fresh;
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) break;
        fresh.swap(incoming_);
      }
      if (state_ == State::away && time_now() >= retry_at_) connect();
      for (Call& call : fresh) send(std::move(call));
      end_late_calls();
      wait();
    }
    disconnect(Errc::cancelled, "the directory closes");
    std::deque<Call> left;
    {
      const std::lock_guard lock(mutex_);
      left.swap(incoming_);
    }
    for (Call& call : left) finish(call, Error{Errc::cancelled, "the directory closes"});
  }

  void wait() {
    pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {-1, 0, 0}};
    if (context_ != nullptr) {
      fds[1].fd = context_->c.fd;
      fds[1].events = static_cast<short>((reading_ ? POLLIN : 0) | (writing_ ? POLLOUT : 0));
    }
    TimePoint until = context_ == nullptr ? retry_at_ : TimePoint::max();
    if (state_ == State::connecting) until = std::min(until, connect_until_);
    if (!sent_.empty()) until = std::min(until, sent_.front().deadline);
    int timeout = -1;
    if (until != TimePoint::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - time_now()).count();
      timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }
    if (::poll(fds, 2, timeout) <= 0) return;
    if (fds[0].revents != 0) {
      std::uint64_t count = 0;
      (void)!::read(wake_fd_, &count, sizeof count);
    }
    const short events = fds[1].revents;
    if (context_ != nullptr && (events & (POLLIN | POLLERR | POLLHUP)) != 0 && reading_)
      redisAsyncHandleRead(context_);
    if (context_ != nullptr && (events & (POLLOUT | POLLERR | POLLHUP)) != 0 && writing_)
      redisAsyncHandleWrite(context_);
  }

  void connect() {
    redisAsyncContext* made = redisAsyncConnect(options_.address.host.c_str(), options_.address.port);
    if (made == nullptr || made->err != 0) {
      const std::string why = made == nullptr ? "out of memory" : made->errstr;
      if (made != nullptr) redisAsyncFree(made);
      return lost(why);
    }
    context_ = made;
    made->data = this;
    made->ev.data = this;
    made->ev.addRead = [](void* self) { of(self).reading_ = true; };
    made->ev.delRead = [](void* self) { of(self).reading_ = false; };
    made->ev.addWrite = [](void* self) { of(self).writing_ = true; };
    made->ev.delWrite = [](void* self) { of(self).writing_ = false; };
    // The one place that says the context is gone, whoever freed it.
    made->ev.cleanup = [](void* self) {
      of(self).context_ = nullptr;
      of(self).reading_ = of(self).writing_ = false;
    };
    state_ = State::connecting;
    connect_until_ = time_now() + options_.deadline;
    redisAsyncSetConnectCallback(made, [](const redisAsyncContext* context, int status) {
      Connection& self = of(context->data);
      if (status == REDIS_OK) return self.connected();
      self.lost(context->errstr);
    });
    redisAsyncSetDisconnectCallback(made, [](const redisAsyncContext* context, int status) {
      if (status != REDIS_OK) of(context->data).lost(context->errstr);
    });
    // Sent before anything else, as soon as the connection is there.
    if (!options_.password.empty()) send(own({{"AUTH", options_.password}}));
    if (options_.address.database != 0) send(own({{"SELECT", std::to_string(options_.address.database)}}));
    send(own({{"PING"}}));
    const std::lock_guard lock(mutex_);
    away_ = false;
  }

  /// A call of the connection itself: when Redis refuses it there is no use in the connection.
  Call own(std::vector<RedisCommand> commands) {
    {
      const std::lock_guard lock(mutex_);
      ++open_calls_;
    }
    const bool last = commands.front().front() == "PING";
    return make_call(std::move(commands), [this, last](const Expected<std::vector<RedisAnswer>>& answer) {
      if (!answer && answer.error().code == Errc::io_failed) {
        refused_ = answer.error().detail;
      } else if (answer && last) {
        greeted();
      }
    });
  }

  void connected() { state_ = State::up; }

  void greeted() {
    pause_ = options_.first_pause;
    bool news = false;
    {
      const std::lock_guard lock(mutex_);
      news = !std::exchange(up_, true);
    }
    if (news) log::info("directory reachable", {{"address", name()}});
  }

  [[nodiscard]] std::string name() const {
    return options_.address.host + ":" + std::to_string(options_.address.port);
  }

  /// The connection ended or never came up. hiredis frees its context, or has never made one.
  void lost(const std::string& why) {
    state_ = State::away;
    retry_at_ = time_now() + pause_;
    pause_ = std::min(pause_ * 2, options_.longest_pause);
    bool news = false;
    {
      const std::lock_guard lock(mutex_);
      away_ = true;
      ++losses_;
      news = std::exchange(up_, false) || losses_ == 1;
    }
    if (news) {
      log::warn("directory not reachable: requests go on, what they would keep there is kept here alone",
                {{"address", name()}, {"why", why}});
    }
  }

  void send(Call call) {
    if (context_ == nullptr) return finish(call, Error{Errc::peer_lost, "the directory is not reachable"});
    sent_.push_back(std::move(call));
    Call& kept = sent_.back();  // a list: it stays where it is until its last answer
    for (const RedisCommand& command : kept.commands) {
      std::vector<const char*> words;
      std::vector<std::size_t> sizes;
      for (const std::string& word : command) {
        words.push_back(word.data());
        sizes.push_back(word.size());
      }
      const auto taken = redisAsyncCommandArgv(
          context_,
          [](redisAsyncContext* context, void* reply, void* data) {
            of(context->data).take(*static_cast<Call*>(data), static_cast<const redisReply*>(reply));
          },
          &kept, static_cast<int>(words.size()), words.data(), sizes.data());
      TROUPE_CHECK(taken == REDIS_OK, "hiredis takes no command while it has a context");
    }
    kept.commands.clear();  // hiredis has copied them
  }

  void take(Call& call, const redisReply* reply) {
    --call.unanswered;
    if (reply == nullptr) {
      if (!call.error) call.error = Error{Errc::peer_lost, "the connection to the directory ended"};
    } else if (auto answer = read_answer(*reply); answer) {
      call.answers.push_back(std::move(*answer));
    } else if (!call.error) {
      call.error = std::move(answer.error());
    }
    if (call.unanswered != 0) return;
    const auto at = std::find_if(sent_.begin(), sent_.end(), [&](const Call& c) { return &c == &call; });
    Call over = std::move(*at);
    sent_.erase(at);
    finish(over, over.error);
  }

  void finish(Call& call, const std::optional<Error>& error) {
    {
      const std::lock_guard lock(mutex_);
      --open_calls_;
      open_bytes_ -= call.bytes;
    }
    if (!error) return call.done(std::move(call.answers));
    failures_ += 1;
    call.done(tl::unexpected<Error>(*error));
  }

  void disconnect(Errc code, const std::string& why) {
    if (context_ == nullptr) return;
    for (Call& call : sent_) call.error = Error{code, why};
    redisAsyncFree(context_);  // answers every call with nothing
  }

  void end_late_calls() {
    const TimePoint now = time_now();
    const bool late = !sent_.empty() && sent_.front().deadline <= now;
    const bool unconnected = state_ == State::connecting && connect_until_ <= now;
    if (context_ != nullptr && (late || unconnected)) {
      lost("no answer within its deadline");
      disconnect(Errc::deadline_exceeded, "the directory did not answer in time");
    } else if (context_ != nullptr && !refused_.empty()) {
      lost(std::exchange(refused_, {}));
      disconnect(Errc::io_failed, "the directory refuses this process");
    }
  }

  static Connection& of(void* self) { return *static_cast<Connection*>(self); }

  const RedisOptions options_;
  const int wake_fd_;
  redisAsyncContext* context_ = nullptr;
  bool reading_ = false, writing_ = false;
  State state_ = State::away;
  TimePoint retry_at_{}, connect_until_{};
  Duration pause_;
  std::string refused_;
  std::list<Call> sent_;

  mutable std::mutex mutex_;
  std::deque<Call> incoming_;
  std::size_t open_calls_ = 0, open_bytes_ = 0;
  std::uint64_t losses_ = 0;
  bool up_ = false;    ///< it has answered over this connection
  bool away_ = false;  ///< calls are not taken
  bool stopping_ = false;
  std::atomic<std::uint64_t> calls_ = 0, failures_ = 0;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<RedisConnection> RedisConnection::open(RedisOptions options) {
  return std::make_unique<Connection>(std::move(options));
}

}  // namespace troupe::directory
