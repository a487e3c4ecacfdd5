#pragma once
// Reaching another process without ever blocking the scheduler or the middleman: a probe first, on a thread
// of its own, since the middleman's dial to a silent address holds every other dial for minutes (toolkit:
// "Dialling blocks").
#include <string>

#include <caf/all.hpp>

namespace troupe::actors {

/// A detached actor: ProbeRequest -> bool, whether a TCP connection comes up within a second.
[[nodiscard]] caf::actor spawn_prober(caf::actor_system& system);

/// Spawns an actor that probes, dials, sends one DialResult to `owner` and ends.
void dial(caf::actor_system& system, const caf::actor_addr& prober, const std::string& address,
          const caf::actor& owner);

}  // namespace troupe::actors
