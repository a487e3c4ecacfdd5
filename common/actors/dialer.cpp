#include "common/actors/dialer.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>

#include "common/actors/address.hpp"
#include "common/actors/type_ids.hpp"

namespace troupe::actors {
namespace {

constexpr int kProbeMs = 1000;
constexpr std::chrono::seconds kProbeAnswer{10};  // probes wait for each other
constexpr std::chrono::seconds kDialAnswer{3};

bool connects(const addrinfo& target) {
  const int fd =
      ::socket(target.ai_family, target.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, target.ai_protocol);
  if (fd < 0) return false;
  bool up = ::connect(fd, target.ai_addr, target.ai_addrlen) == 0;
  if (!up && errno == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    int error = 0;
    socklen_t size = sizeof error;
    up = ::poll(&wait, 1, kProbeMs) == 1 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
         error == 0;
  }
  ::close(fd);
  return up;
}

bool reachable(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return false;
  bool up = false;
  for (const addrinfo* at = found; at != nullptr && !up; at = at->ai_next) up = connects(*at);
  ::freeaddrinfo(found);
  return up;
}

caf::behavior prober(caf::event_based_actor*, int) {
  return {[](const ProbeRequest& request) { return reachable(request.host, request.port); }};
}

caf::behavior dialer(caf::event_based_actor* self, caf::actor_addr prober, std::string address,
                     caf::actor owner) {
  const auto answer = [self, address, owner](caf::strong_actor_ptr handle) {
    self->send(owner, DialResult{address, std::move(handle)});
    self->quit();
  };
  const auto target = tcp_host_port(address);
  const auto probe = caf::actor_cast<caf::actor>(prober);  // null once the runtime has let it go
  if (!target || !probe) {
    answer(nullptr);
    return {};
  }
  self->request(probe, kProbeAnswer, ProbeRequest{target->host, target->port})
      .then(
          [=](bool up) {
            if (!up) return answer(nullptr);
            auto& system = self->system();  // with keys nobody is reached otherwise
            const auto& middleman =
                system.has_openssl_manager() ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
            self->request(middleman, kDialAnswer, caf::connect_atom_v, target->host, target->port)
                .then([=](const caf::node_id&, caf::strong_actor_ptr& handle,
                          const std::set<std::string>&) { answer(std::move(handle)); },
                      [=](caf::error&) { answer(nullptr); });
          },
          [=](caf::error&) { answer(nullptr); });
  return {[](const StopRole&) {}};
}

}  // namespace

caf::actor spawn_prober(caf::actor_system& system) {
  return system.spawn<caf::detached>(prober, 0);
}

void dial(caf::actor_system& system, const caf::actor_addr& prober, const std::string& address,
          const caf::actor& owner) {
  system.spawn(dialer, prober, address, owner);
}

}  // namespace troupe::actors
