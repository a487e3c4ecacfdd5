// KV frames from one process to another of the same host: through the socket, in shared memory, and, where a
// folder of keys is given (`troupe keys make`), through the socket under CURVE. Prints GB/s of each and the
// CPU time of both processes a GB, writing and reading of every frame included, alternately in one run.
//   transfer_bench [frame KiB] [frames] [KEYS]
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "common/security/key_folder.hpp"
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
[[noreturn]] void receive(int to_parent, int from_parent, std::size_t frame_bytes,
                          std::shared_ptr<const security::ClusterKeys> keys) {
  std::vector<std::uint8_t> pages(frame_bytes);
  DataPlaneOptions options;
  options.listen = "tcp://127.0.0.1:0";
  options.keys = std::move(keys);
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

/// A receiving process and the plane that sends to it.
class Pair {
 public:
  Pair(std::size_t frame_bytes, const std::shared_ptr<const security::ClusterKeys>& keys)
      : pages_(frame_bytes, 7) {
    int to_parent[2], to_child[2];
    need(::pipe(to_parent) == 0 && ::pipe(to_child) == 0, "no pipe");
    child_ = ::fork();
    if (child_ == 0) receive(to_parent[1], to_child[0], frame_bytes, keys);
    end_ = to_child[1];
    char text[512];
    const ssize_t size = ::read(to_parent[0], text, sizeof text);
    need(size > 0, "no receiver");
    const std::string told(text, static_cast<std::size_t>(size));
    address_ = told.substr(0, told.find(' '));
    host_ = told.substr(told.find(' ') + 1);
    DataPlaneOptions options;
    options.listen = "tcp://127.0.0.1:0";
    options.keys = keys;
    DataPlaneHandlers handlers;
    handlers.received = [](const wire::Envelope&, FramePayload) { return false; };
    handlers.writable = [this](const std::string&) { room_.wake(); };
    auto plane = DataPlane::create(options, std::move(handlers));
    need(plane.has_value(), "no sending plane");
    plane_ = std::move(*plane);
  }
  ~Pair() { need(::write(end_, "", 1) == 1 && ::waitpid(child_, nullptr, 0) == child_, "no end"); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  Cost send(std::uint32_t frames, bool in_place) {
    const auto began = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds(0) + cpu_seconds(child_);
    for (std::uint32_t i = 0; i < frames; ++i) {
      const auto buffer = plane_->buffer(in_place ? host_ : "", pages_.size());
      std::memcpy(buffer->append(pages_.size()).data(), pages_.data(), pages_.size());
      wire::KvFrame frame{{1, 1},
                          {1},
                          {1, 1},
                          number_++,
                          0,
                          1,
                          {0},
                          static_cast<std::uint32_t>(pages_.size()),
                          frame_checksum(buffer->bytes()),
                          {1}};
      const FramePayload payload = buffer->finish();
      const wire::Envelope header = wire::pack(frame, Epoch{1});
      room_.wait([&] { return plane_->send(address_, header, frame.request, payload) == SendResult::sent; });
    }
    room_.wait([&] { return plane_->stats().in_flight == 0; });
    const double sent = static_cast<double>(pages_.size()) * frames / 1e9;
    return {sent / Seconds(std::chrono::steady_clock::now() - began).count(),
            (cpu_seconds(0) + cpu_seconds(child_) - cpu) / sent};
  }

 private:
  Room room_;
  std::vector<std::uint8_t> pages_;
  pid_t child_ = -1;
  int end_ = -1;
  std::string address_, host_;
  std::uint32_t number_ = 0;
  std::unique_ptr<DataPlane> plane_;
};

void print(const char* way, const Cost& cost, const Cost& socket) {
  std::printf("  %-14s %.2f GB/s, %.2f CPU s/GB: %.2f times the plain socket's\n", way, cost.rate, cost.cpu,
              cost.cpu / socket.cpu);
}

}  // namespace

int main(int count, char** words) {
  const std::size_t frame_bytes = (count > 1 ? std::strtoul(words[1], nullptr, 10) : 768) * 1024;
  const auto frames = static_cast<std::uint32_t>(count > 2 ? std::strtoul(words[2], nullptr, 10) : 500);
  need(frame_bytes > 0 && frames > 0, "usage: transfer_bench [frame KiB] [frames] [KEYS]");
  Pair plain(frame_bytes, nullptr);
  std::optional<Pair> secret;
  if (count > 3) {
    auto keys = security::load_keys(words[3]);
    need(keys.has_value(), "no keys there");
    secret.emplace(frame_bytes, *keys);
  }
  for (int round = 0; round < 5; ++round) {
    std::printf("frames of %zu KiB\n", frame_bytes / 1024);
    const Cost socket = plain.send(frames, false);
    print("socket", socket, socket);
    print("shared memory", plain.send(frames, true), socket);
    if (secret) print("under CURVE", secret->send(frames, false), socket);
  }
  return 0;
}
