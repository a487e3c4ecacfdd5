#pragma once
// One request's answer between the threads that produce it and the connection that sends it. Knows no
// sockets: the connection gives it a way to run tasks on its thread and is woken when there is something to
// send.
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/http_types.hpp"
#include "services/gateway/http_wire.hpp"

namespace troupe::gateway {

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  using Task = std::function<void()>;
  using Post = std::function<void(Task)>;

  /// `post` runs a task on the connection's thread; `wake` is run there when take() has news.
  Exchange(Post post, Task wake, AnswerContext context, std::size_t max_buffered_bytes);

  /// The writer to hand to a route. Dropping it without an end makes the answer a 500 or breaks the stream.
  [[nodiscard]] std::shared_ptr<ResponseWriter> writer();

  /// What to send next. Threads: the connection's.
  struct Piece {
    std::string bytes;
    bool ended = false;   ///< nothing follows
    bool broken = false;  ///< the answer is not whole: close without the last chunk
  };
  [[nodiscard]] Piece take();
  /// The client went away, or the connection closes: runs the on_gone callback unless the answer has ended.
  void set_gone();
  /// After this no task is posted any more. Threads: the connection's.
  void detach();
  [[nodiscard]] bool gone() const;
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] const AnswerContext& context() const { return context_; }

 private:
  class Writer;
  void answer_for(const RequestId& id);
  void answer_with(std::vector<Header> fields);
  [[nodiscard]] AnswerContext head_context() const;  ///< mutex_ is held
  void respond(const Response& response);
  void start_stream(int status, std::string_view content_type);
  bool write(std::string_view bytes);
  void finish();
  void abandon();
  void on_gone(Task callback);
  void post(Task task);
  void notify(std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  Post post_;
  Task wake_;
  const AnswerContext context_;
  const std::size_t max_buffered_bytes_;
  std::string head_;            ///< ready bytes: a head, or a whole answer
  std::string answers_;         ///< id of the request whose answer this is, when it is an earlier one
  std::vector<Header> fields_;  ///< of the head, besides its own
  std::string payload_;         ///< of the stream, not yet framed
  Task gone_callback_;
  bool streaming_ = false;
  bool ended_ = false;
  bool broken_ = false;
  bool gone_ = false;
  bool detached_ = false;
  bool wake_posted_ = false;
};

}  // namespace troupe::gateway
