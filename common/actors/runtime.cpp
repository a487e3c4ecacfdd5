#include "common/actors/runtime.hpp"

#include <atomic>
#include <fstream>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/actors/address.hpp"
#include "common/actors/dialer.hpp"
#include "common/actors/role_actor.hpp"
#include "common/actors/type_ids.hpp"
#include "common/base/handoff.hpp"
#include "common/base/log.hpp"

// Node ids are hash(MAC addresses + this) + pid: two containers that share a network namespace would get one
// id and steal each other's replies. A random value replaces the library's own definition (toolkit, "Node ids
// collide").
namespace caf::detail {
std::string get_root_uuid();
std::string get_root_uuid() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/uuid") >> text;
  return text;
}
}  // namespace caf::detail

// OpenSSL tells by its queue of errors, one a thread, what became of a read or write, and CAF leaves old errors in it: after one peer
// that is refused or dies, healthy connections would count as broken, too. These replace the library's own definitions and begin with
// an empty queue.
extern "C" int SSL_read(SSL* tls, void* buffer, int size) {
  ERR_clear_error();
  std::size_t done = 0;
  return SSL_read_ex(tls, buffer, static_cast<std::size_t>(size), &done) == 1 ? static_cast<int>(done) : -1;
}
extern "C" int SSL_write(SSL* tls, const void* buffer, int size) {
  ERR_clear_error();
  std::size_t done = 0;
  return SSL_write_ex(tls, buffer, static_cast<std::size_t>(size), &done) == 1 ? static_cast<int>(done) : -1;
}

namespace troupe::actors {

/// Raised with the meaning of Mail: processes of other wire generations are refused at the handshake.
constexpr const char* kApplication = "troupe-2";

struct RoleHandle::Impl {
  caf::actor actor;
  std::string address;
};

void RoleHandle::post(Work work) const {
  if (!impl_) return;
  hand_over();
  caf::anon_send(impl_->actor, Job{std::move(work)});
}

const std::string& RoleHandle::address() const {
  static const std::string kNone;
  return impl_ ? impl_->address : kNone;
}

namespace {

template <class D>
caf::timespan to_timespan(D duration) {
  return std::chrono::duration_cast<caf::timespan>(duration);
}

class SystemConfig : public caf::actor_system_config {
 public:
  explicit SystemConfig(const RuntimeOptions& options) {
    add_message_types<caf::id_block::troupe>();
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", static_cast<std::size_t>(options.threads));
    if (!options.remote) return;
    load<caf::io::middleman>();
    set("middleman.heartbeat-interval", to_timespan(options.heartbeat));
    set("middleman.connection-timeout", to_timespan(options.node_timeout));
    set("scheduler.max-throughput", std::size_t{16});
    set("middleman.app-identifiers", std::vector<std::string>{kApplication});
    if (!options.keys) return;
    load<caf::openssl::manager>();
    openssl_certificate = options.keys->current().certificate.string();
    openssl_key = options.keys->current().private_key.string();
    openssl_cafile = options.keys->authorities.string();
  }
};

class CafRuntime final : public Runtime {
 public:
  explicit CafRuntime(const RuntimeOptions& options)
      : options_(options),
        config_(options),
        system_(config_),
        directory_(std::make_shared<LocalDirectory>()) {
    if (options_.remote) prober_ = spawn_prober(system_);
  }

  ~CafRuntime() override {
    for (const auto& role : std::exchange(roles_, {})) end(*role);
    // The system waits until nothing refers to a detached actor: this is the only lasting reference.
    if (auto prober = std::exchange(prober_, nullptr))
      caf::anon_send_exit(prober, caf::exit_reason::user_shutdown);
  }

  Expected<RoleHandle> spawn(const std::string& name, const MakeState& make) override {
    const caf::actor actor = system_.spawn<RoleActor>(prober_, directory_);
    auto address = options_.remote ? publish(actor) : Expected<std::string>(std::string(kLocal) + name);
    if (address && !options_.remote && directory_->find(*address))
      address = fail(Errc::address_in_use, *address + " is taken in this process");
    if (!address) {
      caf::anon_send(actor, StopRole{});
      return tl::unexpected<Error>(address.error());
    }
    if (!options_.remote) directory_->put(*address, caf::actor_cast<caf::strong_actor_ptr>(actor));
    auto impl = std::make_shared<RoleHandle::Impl>(RoleHandle::Impl{actor, *address});
    auto state = std::make_shared<std::unique_ptr<RoleState>>(make(RoleHandle(impl)));
    hand_over();
    caf::anon_send(actor, StartRole{std::move(state), *address});
    roles_.push_back(impl);
    return RoleHandle(std::move(impl));
  }

  void stop(const RoleHandle& role) override {
    const auto same = [&](const auto& impl) { return impl->address == role.address(); };
    const auto found = std::find_if(roles_.begin(), roles_.end(), same);
    if (found == roles_.end()) return;
    const auto impl = *found;
    roles_.erase(found);
    end(*impl);
  }

 private:
  Expected<std::string> publish(const caf::actor& actor) {
    auto listen = parse_host_port(options_.listen);
    if (!listen) return tl::unexpected<Error>(listen.error());
    if (published_) listen->port = 0;
    const auto port = options_.keys ? caf::openssl::publish(actor, listen->port, listen->host.c_str(), true)
                                    : system_.middleman().publish(actor, listen->port, listen->host.c_str(), true);
    if (!port) {
      return fail(Errc::address_in_use,
                  "cluster.listen " + format(*listen) + " cannot be bound: " + system_.render(port.error()));
    }
    published_ = true;
    HostPort reach{listen->host, *port};
    if (!options_.advertise.empty()) {
      const auto given = parse_host_port(options_.advertise);
      reach.host = given ? given->host : options_.advertise;
      if (given && given->port != 0) reach.port = given->port;
    }
    return std::string(kTcp) + format(reach);
  }

  void end(const RoleHandle::Impl& impl) {
    if (options_.remote) (void)system_.middleman().unpublish(impl.actor);
    directory_->erase(impl.address);
    caf::scoped_actor self(system_);
    self->send(impl.actor, StopRole{});
    self->wait_for(impl.actor);
    take_over();
  }

  RuntimeOptions options_;
  SystemConfig config_;
  caf::actor_system system_;
  std::shared_ptr<LocalDirectory> directory_;
  caf::actor prober_;
  std::vector<std::shared_ptr<RoleHandle::Impl>> roles_;
  bool published_ = false;
};

}  // namespace

Expected<std::unique_ptr<Runtime>> Runtime::create(const RuntimeOptions& options) {
  if (options.remote) {
    const auto listen = parse_host_port(options.listen);
    if (!listen) return tl::unexpected<Error>(listen.error());
    TROUPE_TRY(check_listen("cluster.listen", *listen, options.insecure || options.keys != nullptr));
  }
  return std::make_unique<CafRuntime>(options);
}

}  // namespace troupe::actors
