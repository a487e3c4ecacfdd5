// The machine this process runs on.
#include <fcntl.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "common/actors/address.hpp"
#include "common/backend/cpu/cpu_affinity.hpp"
#include "common/config/host.hpp"
#include "common/http/client.hpp"
#include "services/cli/doctor/machine.hpp"
#include "services/cli/sha256.hpp"
#include "services/cli/version.hpp"

namespace troupe::cli::doctor {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

tl::unexpected<Error> failed(Errc code, const std::string& what) {
  const int why = errno;
  return fail(code, what + ": " + std::strerror(why));
}

Expected<void> bind_to(const addrinfo& to, const std::string& place) {
  const Descriptor socket(::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC, to.ai_protocol));
  if (socket.fd < 0) return failed(Errc::io_failed, place);
  // As the servers do: what lingers of a process that has ended takes no port.
  const int on = 1;
  ::setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.fd, to.ai_addr, to.ai_addrlen) == 0 && ::listen(socket.fd, 1) == 0) return {};
  return failed(errno == EADDRINUSE ? Errc::address_in_use : Errc::io_failed, place);
}

/// `folder`, or the nearest above it that there is.
fs::path existing(const fs::path& folder) {
  std::error_code error;
  fs::path at = fs::absolute(folder, error);
  while (!fs::exists(at, error) && at.has_parent_path() && at.parent_path() != at) at = at.parent_path();
  return at;
}

Duration cost_of_a_look() {
  constexpr int kLooks = 2000;
  const auto begin = std::chrono::steady_clock::now();
  auto last = begin;
  for (int i = 0; i < kLooks; ++i) last = std::max(last, std::chrono::steady_clock::now());
  return (last - begin) / kLooks;
}

class Host final : public Machine {
 public:
  std::string program_version() const override { return std::string(version()); }

  std::optional<std::string> text(const std::string& path) const override {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    std::string out(std::istreambuf_iterator<char>(file), {});
    if (file.bad()) return std::nullopt;
    return out;
  }

  std::vector<backend::Isa> instruction_sets() const override { return backend::supported_isas(); }

  Cores cores() const override {
    Cores cores;
    cores.allowed = static_cast<unsigned>(std::max<std::size_t>(1, backend::cpu::affinity_cpus().size()));
    if (const auto quota = troupe::detail::read_limits("/").cpu_cores)
      cores.quota = static_cast<unsigned>(std::clamp<std::uint64_t>(*quota, 1, 65536));
    return cores;
  }

  MemoryRoom memory() const override { return {usable_memory_bytes(), free_memory_bytes()}; }

  DescriptorLimits descriptors() const override {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
    return {limit.rlim_cur, limit.rlim_max};
  }

  ClockSample clocks() const override {
    ClockSample sample;
    sample.read_cost = cost_of_a_look();
    const auto wall = std::chrono::system_clock::now();
    const auto steady = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(20ms);
    sample.wall = std::chrono::system_clock::now();
    sample.steady_passed = std::chrono::steady_clock::now() - steady;
    sample.wall_passed = sample.wall - wall;
    timex state{};
    const int answer = ::adjtimex(&state);  // reads only: no mode is set
    if (answer >= 0) sample.synchronised = answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    return sample;
  }

  Expected<void> listen(const std::string& host, std::uint16_t port) const override {
    const std::string place = actors::format({host, port});
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* list = nullptr;
    const char* name = host == "*" ? nullptr : host.c_str();
    if (const int error = ::getaddrinfo(name, std::to_string(port).c_str(), &hints, &list); error != 0)
      return fail(Errc::io_failed, place + ": " + ::gai_strerror(error));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
    return bind_to(*list, place);
  }

  bool troupe_answers(const std::string& host, std::uint16_t port) const override {
    HttpRequest request;
    request.path = "/healthz";
    auto answer = HttpAnswer::open({host, port, "/"}, request, -1, {1s, 1s});
    if (!answer || answer->status() != 200) return false;
    const auto body = answer->read_all(1024);
    return body && *body == "ok\n";
  }

  Expected<Duration> ping_redis(const directory::RedisOptions& redis) const override {
    const auto connection = directory::RedisConnection::open(redis);
    // The first call also connects; the second is what a gateway meets.
    TROUPE_TRY(ping(*connection));
    const auto begin = std::chrono::steady_clock::now();
    TROUPE_TRY(ping(*connection));
    return std::chrono::steady_clock::now() - begin;
  }

  Expected<void> shared_memory() const override {
    const Descriptor memory(::memfd_create("troupe-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (memory.fd < 0) return failed(Errc::io_failed, "memfd_create");
    if (::ftruncate(memory.fd, 4096) != 0) return failed(Errc::io_failed, "ftruncate");
    void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
    if (at == MAP_FAILED) return failed(Errc::io_failed, "mmap");
    ::munmap(at, 4096);
    return {};
  }

  Expected<void> writable(const fs::path& folder) const override {
    std::string name = (existing(folder) / ".troupe-doctor-XXXXXX").string();
    const Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
    if (file.fd < 0) return failed(Errc::io_failed, folder.string());
    ::unlink(name.c_str());
    return {};
  }

  Expected<DiskRoom> disk(const fs::path& folder) const override {
    std::error_code error;
    const fs::space_info space = fs::space(existing(folder), error);
    if (error) return fail(Errc::io_failed, folder.string() + ": " + error.message());
    DiskRoom room;
    room.free_bytes = space.available;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      std::error_code ignored;
      if (const auto size = at->is_regular_file(ignored) ? at->file_size(ignored) : 0; !ignored)
        room.used_bytes += size;
    }
    return room;
  }

  Expected<std::uint64_t> file_bytes(const fs::path& path) const override {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) return fail(Errc::file_not_found, path.string() + ": " + error.message());
    return size;
  }

  Expected<std::string> sha256(const fs::path& path) const override { return sha256_of_file(path); }

  Expected<ModelFacts> model(const fs::path& path, backend::DType kv_dtype) const override {
    return read_model_facts(path, kv_dtype);
  }

 private:
  static Expected<void> ping(directory::RedisConnection& connection) {
    // Shared: an answer may come when nobody waits any more.
    const auto answered = std::make_shared<std::promise<Expected<void>>>();
    auto answer = answered->get_future();
    connection.call({{"PING"}}, [answered](Expected<std::vector<directory::RedisAnswer>> got) {
      answered->set_value(got ? Expected<void>() : tl::unexpected<Error>(got.error()));
    });
    return answer.get();  // a call has a deadline of its own
  }
};

}  // namespace

std::unique_ptr<Machine> this_machine() {
  return std::make_unique<Host>();
}

}  // namespace troupe::cli::doctor
