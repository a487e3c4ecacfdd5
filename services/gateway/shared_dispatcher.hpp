#pragma once
// A Dispatcher through which several listeners follow one computation: a client that comes back for its
// stream, or that sends its request twice, costs nothing but its own text.
#include <map>
#include <memory>
#include <mutex>

#include "services/gateway/dispatcher.hpp"

namespace troupe::gateway {

/// Jobs with the same `share` are started once; who comes later hears everything from the beginning. The
/// computation is cancelled when its last listener cancels. Threads: any.
class SharedDispatcher final : public Dispatcher {
 public:
  /// `inner` must outlive it.
  explicit SharedDispatcher(Dispatcher& inner);

  [[nodiscard]] Expected<void> start(GenerateJob job, std::shared_ptr<AnswerSink> sink) override;
  void cancel(const RequestId& id) override;
  [[nodiscard]] std::vector<ServedModel> models() const override { return inner_.models(); }
  [[nodiscard]] std::size_t in_flight() const override { return inner_.in_flight(); }

 private:
  class Live;
  struct Table {
    std::mutex mutex;
    std::map<RequestId, std::shared_ptr<Live>> by_share;
    std::map<RequestId, std::shared_ptr<Live>> by_listener;  ///< the jobs' ids
  };
  Dispatcher& inner_;
  std::shared_ptr<Table> table_;
};

}  // namespace troupe::gateway
