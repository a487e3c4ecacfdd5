#include "common/transport/local_plane.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "common/transport/frame_header.hpp"
#include "common/transport/frame_pool.hpp"

namespace troupe {
namespace {

// One receiving end. Senders hold it shared while they call its handler; close() waits for them.
class Port {
 public:
  explicit Port(DataPlaneHandlers handlers) : handlers_(std::move(handlers)) {}

  /// nullopt: closed.
  std::optional<bool> deliver(const wire::Envelope& header, const FramePayload& payload) {
    std::shared_lock lock(mutex_);
    if (!open_) return std::nullopt;
    frames += 1;
    bytes += payload->size();
    return handlers_.received(header, payload);
  }
  void close() {
    std::unique_lock lock(mutex_);
    open_ = false;
  }
  std::atomic<std::uint64_t> frames{0}, bytes{0};

 private:
  std::shared_mutex mutex_;
  bool open_ = true;
  DataPlaneHandlers handlers_;
};

struct PortTable {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Port>> ports;

  std::shared_ptr<Port> find(const std::string& address) {
    std::lock_guard lock(mutex);
    const auto it = ports.find(address);
    return it == ports.end() ? nullptr : it->second;
  }
};

PortTable& port_table() {
  static PortTable table;
  return table;
}

class LocalPlane final : public DataPlane {
 public:
  LocalPlane(std::string address, std::shared_ptr<Port> port, DataPlaneHandlers handlers)
      : address_(std::move(address)), port_(std::move(port)), handlers_(std::move(handlers)) {}

  ~LocalPlane() override {
    {
      std::lock_guard lock(port_table().mutex);
      port_table().ports.erase(address_);
    }
    port_->close();
  }

  const std::string& address() const override { return address_; }

  SendResult send(const std::string& address, const wire::Envelope& header, const RequestId&,
                  FramePayload payload) override {
    const auto peer = port_table().find(address);
    if (peer == nullptr) return SendResult::closed;
    const auto identity = identify_frame(header, payload->size());
    TROUPE_CHECK(identity.has_value(), "a local sender made a malformed frame");
    const auto accepted = peer->deliver(header, payload);
    if (!accepted) return SendResult::closed;
    frames_sent_ += 1;
    bytes_sent_ += payload->size();
    if (!*accepted) {
      refused_ += 1;
      if (handlers_.refused) handlers_.refused({identity->request, identity->epoch, identity->lease});
    }
    return SendResult::sent;
  }

  void drop(const RequestId&) override {}  // nothing ever waits here
  const std::string& host() const override { return host_; }
  std::unique_ptr<FrameBuffer> buffer(const std::string&, std::size_t capacity) override { return pool_->buffer(capacity); }

  DataPlaneStats stats() const override {
    DataPlaneStats stats;
    stats.frames_sent = frames_sent_;
    stats.bytes_sent = bytes_sent_;
    stats.acks = frames_sent_;
    stats.refused = refused_;
    stats.frames_received = port_->frames;
    stats.bytes_received = port_->bytes;
    return stats;
  }

 private:
  const std::string address_;
  const std::shared_ptr<Port> port_;
  const DataPlaneHandlers handlers_;
  const std::string host_;  // the payload's handle is passed on anyway
  const std::shared_ptr<FramePool> pool_ = FramePool::create(8);
  std::atomic<std::uint64_t> frames_sent_{0}, bytes_sent_{0}, refused_{0};
};

}  // namespace

Expected<std::unique_ptr<DataPlane>> make_local_plane(const DataPlaneOptions& options, DataPlaneHandlers handlers) {
  auto port = std::make_shared<Port>(handlers);
  {
    std::lock_guard lock(port_table().mutex);
    if (!port_table().ports.emplace(options.listen, port).second)
      return fail(Errc::address_in_use, options.listen + " is already served in this process");
  }
  return std::make_unique<LocalPlane>(options.listen, std::move(port), std::move(handlers));
}

}  // namespace troupe
