// KV frames from one process to another of the same host: through the socket, and in shared memory. Prints
// GB/s of both and the CPU time of both processes a GB, writing and reading of every frame included,
// alternately in one run.
//   transfer_bench [frame KiB] [frames]
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <mutex>

#include "common/transport/data_plane.hpp"

namespace {

using namespace troupe;
using Seconds = std::chrono::duration<double>;

void need(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::_Exit(1);
}

/// Copies every frame to where pages would be; tells its address and host by `pipe`, ends with its parent.
[[noreturn]] void receive(int to_parent, int from_parent, std::size_t frame_bytes) {
  std::vector<std::uint8_t> pages(frame_bytes);
  DataPlaneOptions options;
  options.listen = "tcp://127.0.0.1:0";
  DataPlaneHandlers handlers;
  handlers.received = [&](const wire::Envelope&, FramePayload payload) {
    std::memcpy(pages.data(), payload->data(), payload->size());
    return payload->intact();
  };
  auto plane = DataPlane::create(options, std::move(handlers));
  need(plane.has_value(), "no receiving plane");
  const std::string text = (*plane)->address() + " " + (*plane)->host();
  need(::write(to_parent, text.data(), text.size()) > 0, "no pipe");
  char end = 0;
  (void)!::read(from_parent, &end, 1);
  std::_Exit(0);
}

/// Woken by every acknowledgement.
struct Room {
  std::mutex mutex;
  std::condition_variable changed;
  void wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::minutes(1), until);
  }
  void wake() {
    { const std::lock_guard lock(mutex); }
    changed.notify_all();
  }
};

double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec time{};
  need(::clock_getcpuclockid(process, &clock) == 0 && ::clock_gettime(clock, &time) == 0, "no CPU clock");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Cost {
  double rate = 0;  ///< GB/s
  double cpu = 0;   ///< s/GB
};

Cost send(Room& room, DataPlane& plane, pid_t receiver, const std::string& address, const std::string& host,
          const std::vector<std::uint8_t>& pages, std::uint32_t first, std::uint32_t frames) {
  const auto began = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds(0) + cpu_seconds(receiver);
  for (std::uint32_t i = first; i < first + frames; ++i) {
    const auto buffer = plane.buffer(host, pages.size());
    std::memcpy(buffer->append(pages.size()).data(), pages.data(), pages.size());
    wire::KvFrame frame{{1, 1},
                        {1},
                        {1, 1},
                        i,
                        0,
                        1,
                        {0},
                        static_cast<std::uint32_t>(pages.size()),
                        frame_checksum(buffer->bytes()),
                        {1}};
    const FramePayload payload = buffer->finish();
    const wire::Envelope header = wire::pack(frame, Epoch{1});
    room.wait([&] { return plane.send(address, header, frame.request, payload) == SendResult::sent; });
  }
  room.wait([&] { return plane.stats().in_flight == 0; });
  const double sent = static_cast<double>(pages.size()) * frames / 1e9;
  return {sent / Seconds(std::chrono::steady_clock::now() - began).count(),
          (cpu_seconds(0) + cpu_seconds(receiver) - cpu) / sent};
}

}  // namespace

int main(int count, char** words) {
  const std::size_t frame_bytes = (count > 1 ? std::strtoul(words[1], nullptr, 10) : 768) * 1024;
  const auto frames = static_cast<std::uint32_t>(count > 2 ? std::strtoul(words[2], nullptr, 10) : 500);
  int to_parent[2], to_child[2];
  need(::pipe(to_parent) == 0 && ::pipe(to_child) == 0, "no pipe");
  const pid_t child = ::fork();
  if (child == 0) receive(to_parent[1], to_child[0], frame_bytes);
  char text[512];
  const ssize_t size = ::read(to_parent[0], text, sizeof text);
  need(size > 0, "no receiver");
  const std::string told(text, static_cast<std::size_t>(size));
  const std::string address = told.substr(0, told.find(' ')), host = told.substr(told.find(' ') + 1);
  DataPlaneOptions options;
  options.listen = "tcp://127.0.0.1:0";
  DataPlaneHandlers handlers;
  Room room;
  handlers.received = [](const wire::Envelope&, FramePayload) { return false; };
  handlers.writable = [&room](const std::string&) { room.wake(); };
  auto plane = DataPlane::create(options, std::move(handlers));
  need(plane.has_value(), "no sending plane");
  const std::vector<std::uint8_t> pages(frame_bytes, 7);
  std::uint32_t number = 0;
  for (int round = 0; round < 5; ++round) {
    const Cost socket = send(room, **plane, child, address, "", pages, number, frames);
    const Cost shared = send(room, **plane, child, address, host, pages, number + frames, frames);
    number += 2 * frames;
    std::printf(
        "frames of %zu KiB: socket %.2f GB/s, %.2f CPU s/GB; shared memory %.2f GB/s, %.2f CPU s/GB: %.1f of "
        "it\n",
        frame_bytes / 1024, socket.rate, socket.cpu, shared.rate, shared.cpu, shared.cpu / socket.cpu);
  }
  need(::write(to_child[1], "", 1) == 1 && ::waitpid(child, nullptr, 0) == child, "no end");
  return 0;
}
