#include "services/bench/driver.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace troupe::load {
namespace {

class Driver final : public StreamSink {
 public:
  Driver(const Endpoint& endpoint, const Workload& workload, const RunOptions& options, StreamPool pool)
      : endpoint_(endpoint),
        workload_(workload),
        options_(options),
        pool_(std::move(pool)),
        pacer_(options.pace) {}

  RunResult run() {
    begin_ = std::chrono::steady_clock::now();
    for (;;) {
      start_due();
      const auto due = pacer_.next_due(elapsed());
      if (!due && pool_.open() == 0) break;
      const bool wait_for_place = pool_.open() >= options_.pace.concurrency;
      const TimePoint until = due && !wait_for_place
                                  ? begin_ + *due
                                  : std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
      if (!pool_.poll(until, options_.interrupt_fd, *this)) {
        result_.interrupted = true;
        break;
      }
      if (options_.on_progress) options_.on_progress(result_.records.size(), elapsed());
    }
    if (result_.interrupted) pool_.cancel_all(*this);
    for (const Record& record : result_.records) result_.elapsed = std::max(result_.elapsed, record.ended);
    return std::move(result_);
  }

  void on_event(std::uint64_t id, std::string_view data, TimePoint at) override {
    Record& record = open_.at(id);
    if (!read_event(data, at - begin_, record)) record.error = "malformed_event";
  }
  void on_end(std::uint64_t id, const StreamEnd& end, TimePoint at) override {
    auto found = open_.extract(id);
    if (result_.interrupted) return;
    read_end(end, at - begin_, found.mapped());
    result_.records.push_back(std::move(found.mapped()));
  }

 private:
  Duration elapsed() const { return std::chrono::steady_clock::now() - begin_; }

  void start_due() {
    for (Duration now = elapsed(); pacer_.may_start(now, pool_.open()); now = elapsed()) {
      const std::uint64_t index = options_.first_index + pacer_.count();
      PlannedRequest planned = workload_.request(index);
      if (!options_.mark.empty()) planned = marked(std::move(planned), options_.mark);
      const HttpRequest request = make_http_request(endpoint_.url, endpoint_.settings, planned, index);
      // Making the request took time; in a closed loop that is ours, in an open one it counts.
      Record& record = open_[index];
      record.index = index;
      record.due = options_.pace.arrivals ? *pacer_.next_due(now) : elapsed();
      pacer_.started();
      pool_.start(index, request);
    }
  }

  const Endpoint& endpoint_;
  const Workload& workload_;
  const RunOptions& options_;
  StreamPool pool_;
  Pacer pacer_;
  TimePoint begin_{};
  std::unordered_map<std::uint64_t, Record> open_;
  RunResult result_;
};

}  // namespace

Expected<RunResult> run_load(const Endpoint& endpoint, const Workload& workload, const RunOptions& options) {
  auto pool = StreamPool::make(endpoint.url, endpoint.limits, endpoint.trust);
  if (!pool) return tl::unexpected<Error>(std::move(pool.error()));
  return Driver(endpoint, workload, options, std::move(*pool)).run();
}

}  // namespace troupe::load
