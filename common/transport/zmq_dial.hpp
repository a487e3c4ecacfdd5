#pragma once
// One peer that is dialled over ZeroMQ (its wall), with the keys it turns out to have.
//
// A member of another step of a rotation listens with another generation's key (security/key_folder.hpp), and
// only the handshake tells which. So the generation in use is tried first; each time a handshake fails
// another socket tries the next one beside it; the first that succeeds stays. Each socket dials again by
// itself. Without keys there is one socket and nothing to watch.
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "common/security/key_folder.hpp"

namespace troupe {

/// Threads: one at a time. Its context must outlive it.
class ZmqDial {
 public:
  /// Sets what the owner wants of each socket before it connects.
  using Configure = std::function<void(zmq::socket_t&)>;
  /// Throws zmq::error_t.
  ZmqDial(zmq::context_t& context, zmq::socket_type type, std::shared_ptr<const security::ClusterKeys> keys,
          Configure configure);
  ZmqDial(ZmqDial&&) = default;

  /// Once. Throws zmq::error_t where the endpoint cannot be dialled.
  void connect(const std::string& endpoint);
  /// Sockets, for `events`, and what tells of their handshakes.
  void add_to(std::vector<zmq::pollitem_t>& items, short events);
  /// Reads what has become of handshakes: opens sockets and closes them. After a poll.
  void look();
  /// In use or on trial; at least one.
  [[nodiscard]] std::vector<zmq::socket_t*> sockets();

 private:
  struct Link {
    std::size_t generation = 0;
    zmq::socket_t socket;
    zmq::socket_t monitor;  ///< none without keys
  };
  [[nodiscard]] Link open(std::size_t generation) const;
  void try_next();
  void keep_only(std::size_t link);

  zmq::context_t* context_;
  zmq::socket_type type_;
  std::shared_ptr<const security::ClusterKeys> keys_;  // null: off
  Configure configure_;
  std::string endpoint_;
  std::vector<Link> links_;
  bool said_ = false;
};

}  // namespace troupe
