// KV frames from one process to another of the same host: through the socket, and in shared memory. Prints GB/s of both,
// writing and reading of every frame included, alternately in one run.
//   transfer_bench [frame KiB] [frames]
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

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

double send(DataPlane& plane, const std::string& address, const std::string& host, const std::vector<std::uint8_t>& pages,
            std::uint32_t first, std::uint32_t frames) {
  const auto began = std::chrono::steady_clock::now();
  for (std::uint32_t i = first; i < first + frames; ++i) {
    const auto buffer = plane.buffer(host, pages.size());
    std::memcpy(buffer->append(pages.size()).data(), pages.data(), pages.size());
    wire::KvFrame frame{{1, 1}, {1}, {1, 1}, i, 0, 1, {0}, static_cast<std::uint32_t>(pages.size()), frame_checksum(buffer->bytes()), {1}};
    const FramePayload payload = buffer->finish();
    const wire::Envelope header = wire::pack(frame, Epoch{1});
    while (plane.send(address, header, frame.request, payload) != SendResult::sent) std::this_thread::yield();
  }
  while (plane.stats().in_flight != 0) std::this_thread::yield();
  return static_cast<double>(pages.size()) * frames / Seconds(std::chrono::steady_clock::now() - began).count() / 1e9;
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
  handlers.received = [](const wire::Envelope&, FramePayload) { return false; };
  auto plane = DataPlane::create(options, std::move(handlers));
  need(plane.has_value(), "no sending plane");
  const std::vector<std::uint8_t> pages(frame_bytes, 7);
  std::uint32_t number = 0;
  for (int round = 0; round < 5; ++round) {
    const double socket = send(**plane, address, "", pages, number, frames);
    const double shared = send(**plane, address, host, pages, number + frames, frames);
    number += 2 * frames;
    std::printf("frames of %zu KiB: socket %.2f GB/s, shared memory %.2f GB/s, %.2fx\n", frame_bytes / 1024, socket, shared, shared / socket);
  }
  need(::write(to_child[1], "", 1) == 1 && ::waitpid(child, nullptr, 0) == child, "no end");
  return 0;
}
