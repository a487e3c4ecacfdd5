#pragma once
// Tells ThreadSanitizer what it cannot see: CAF and ZeroMQ come uninstrumented, so the order that their
// queues give to sender and receiver is invisible to it. Without a sanitizer this is nothing.

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace troupe {

#if defined(__SANITIZE_THREAD__)
inline char handoff_point =
    0;  // one for all: what is handed over anywhere comes before what is taken over later

/// What this thread did so far comes before what a receiver does with the messages it sends now.
inline void hand_over() {
  __tsan_release(&handoff_point);
}
inline void take_over() {
  __tsan_acquire(&handoff_point);
}
#else
inline void hand_over() {}
inline void take_over() {}
#endif

/// One handler of an actor: after all that was sent to it, before all that it sends.
class Handoff {
 public:
  Handoff() { take_over(); }
  ~Handoff() { hand_over(); }
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;
};

}  // namespace troupe
