#pragma once
// Every type that travels between CAF actors, once: append only. One type crosses processes; jobs never do.
#include <functional>
#include <string>

#include <caf/all.hpp>

#include "common/actors/role_state.hpp"
#include "common/wire/codec.hpp"

namespace troupe::actors {

/// An envelope and its sender's control address.
struct Mail {
  std::string from;
  wire::Envelope envelope;
  std::uint64_t checksum = 0;  ///< wire::checksum of both; between processes only
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Mail& mail) {
  return f(caf::meta::type_name("troupe.mail"), mail.from, mail.envelope.type, mail.envelope.epoch.value,
           mail.envelope.payload, mail.checksum);
}

/// Runs on the role's state inside its actor.
struct Job {
  std::function<void(RoleState&, TimePoint, Outbox&)> run;
};
/// The shell's own timer.
struct Wake {
  std::uint64_t number = 0;
};
struct StopRole {};

/// Prober and dialer.
struct DialResult {
  std::string address;
  caf::strong_actor_ptr handle;  ///< null: unreachable
};
struct ProbeRequest {
  std::string host;
  std::uint16_t port = 0;
};

}  // namespace troupe::actors

CAF_BEGIN_TYPE_ID_BLOCK(troupe, first_custom_type_id)
CAF_ADD_TYPE_ID(troupe, (troupe::actors::Mail))
CAF_END_TYPE_ID_BLOCK(troupe)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::Job)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::Wake)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::StopRole)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::DialResult)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::ProbeRequest)
