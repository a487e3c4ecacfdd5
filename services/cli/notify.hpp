#pragma once
// Readiness by the sd_notify protocol: a datagram to the socket that NOTIFY_SOCKET names. `troupe up`
// listens, and so does systemd.

namespace troupe::cli {

/// Says that this process takes requests. Does nothing without NOTIFY_SOCKET; never blocks.
void notify_ready();

/// Says that this process drains.
void notify_stopping();

}  // namespace troupe::cli
