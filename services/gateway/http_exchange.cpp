#include "services/gateway/http_exchange.hpp"

#include <utility>

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

class Exchange::Writer final : public ResponseWriter {
 public:
  explicit Writer(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Writer() override { exchange_->abandon(); }
  void answer_for(const RequestId& id) override { exchange_->answer_for(id); }
  void answer_with(std::vector<Header> fields) override { exchange_->answer_with(std::move(fields)); }
  void respond(Response response) override { exchange_->respond(response); }
  void start_stream(int status, std::string_view content_type) override {
    exchange_->start_stream(status, content_type);
  }
  bool write(std::string_view bytes) override { return exchange_->write(bytes); }
  void finish() override { exchange_->finish(); }
  [[nodiscard]] bool gone() const override { return exchange_->gone(); }
  [[nodiscard]] std::size_t waiting() const override { return exchange_->waiting(); }
  void on_gone(std::function<void()> callback) override { exchange_->on_gone(std::move(callback)); }
  void post(std::function<void()> task) override { exchange_->post(std::move(task)); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

Exchange::Exchange(Post post, Task wake, AnswerContext context, std::size_t max_buffered_bytes)
    : post_(std::move(post)),
      wake_(std::move(wake)),
      context_(std::move(context)),
      max_buffered_bytes_(max_buffered_bytes) {}

std::shared_ptr<ResponseWriter> Exchange::writer() {
  return std::make_shared<Writer>(shared_from_this());
}

void Exchange::answer_for(const RequestId& id) {
  const std::lock_guard lock(mutex_);
  answers_ = to_hex(id);
}

void Exchange::answer_with(std::vector<Header> fields) {
  const std::lock_guard lock(mutex_);
  fields_ = std::move(fields);
}

AnswerContext Exchange::head_context() const {
  AnswerContext context = context_;
  context.fields = fields_;
  if (!answers_.empty()) context.request_id = answers_;
  return context;
}

void Exchange::respond(const Response& response) {
  std::unique_lock lock(mutex_);
  if (ended_ || streaming_) return;
  head_ = compose_response(response, head_context());
  ended_ = true;
  notify(lock);
}

void Exchange::start_stream(int status, std::string_view content_type) {
  std::unique_lock lock(mutex_);
  if (ended_ || streaming_) return;
  head_ = compose_stream_head(status, content_type, head_context());
  streaming_ = true;
  notify(lock);
}

bool Exchange::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  if (gone_ || ended_) return false;
  if (payload_.size() + bytes.size() > max_buffered_bytes_) {
    // The client does not read: nothing more is kept for it, and the connection is closed by the next take().
    payload_.clear();
    ended_ = broken_ = true;
    notify(lock);
    return false;
  }
  payload_ += bytes;
  notify(lock);
  return true;
}

void Exchange::finish() {
  std::unique_lock lock(mutex_);
  if (ended_) return;
  ended_ = true;
  notify(lock);
}

void Exchange::abandon() {
  std::unique_lock lock(mutex_);
  if (ended_) return;
  ended_ = true;
  if (streaming_) {
    broken_ = true;
  } else {
    head_ = compose_response(
        to_response(to_api(Error{Errc::internal, "the request was dropped without an answer"})), context_);
  }
  notify(lock);
}

void Exchange::on_gone(Task callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      gone_callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void Exchange::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (!detached_) post_(std::move(task));
}

void Exchange::notify(std::unique_lock<std::mutex>& lock) {
  // One wake-up at a time is under way; state set before it runs is seen by it, state set after posts
  // another.
  if (detached_ || std::exchange(wake_posted_, true)) return;
  post_([self = shared_from_this()] {
    {
      const std::lock_guard inner(self->mutex_);
      self->wake_posted_ = false;
    }
    if (self->wake_) self->wake_();
  });
  lock.unlock();
}

Exchange::Piece Exchange::take() {
  const std::lock_guard lock(mutex_);
  Piece piece{std::move(head_), ended_, broken_};
  head_.clear();
  if (context_.head_only) payload_.clear();
  if (context_.chunked && !context_.head_only) {
    append_chunk(piece.bytes, payload_);
    if (streaming_ && ended_ && !broken_) piece.bytes += kLastChunk;
  } else {
    piece.bytes += payload_;
  }
  payload_.clear();
  return piece;
}

void Exchange::set_gone() {
  Task callback;
  {
    const std::lock_guard lock(mutex_);
    if (gone_) return;
    gone_ = true;
    callback = std::exchange(gone_callback_, nullptr);
    if (ended_ && !broken_) callback = nullptr;
  }
  if (callback) callback();
}

void Exchange::detach() {
  // What the closures keep alive (the connection) is let go here: a writer may outlive the server.
  Task callback, wake;
  Post post;
  const std::lock_guard lock(mutex_);
  detached_ = true;
  std::swap(callback, gone_callback_);
  std::swap(wake, wake_);
  std::swap(post, post_);
}

bool Exchange::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_ || broken_;
}

std::size_t Exchange::waiting() const {
  const std::lock_guard lock(mutex_);
  return payload_.size();
}

}  // namespace troupe::gateway
