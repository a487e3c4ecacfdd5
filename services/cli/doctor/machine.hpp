#pragma once
// The machine as the doctor sees it: an interface, so that a test can show it any machine.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/base/clock.hpp"
#include "common/base/error.hpp"
#include "common/directory/redis_connection.hpp"
#include "services/cli/model_facts.hpp"

namespace troupe::cli::doctor {

struct Cores {
  unsigned allowed = 1;           ///< by the affinity mask
  std::optional<unsigned> quota;  ///< of the cgroup, rounded up
};

struct MemoryRoom {
  std::uint64_t total_bytes = 0;  ///< the smaller of the machine's and the cgroup's
  std::uint64_t free_bytes = 0;
};

struct DescriptorLimits {
  std::uint64_t soft = 0, hard = 0;
};

/// Both clocks over one short wait.
struct ClockSample {
  std::chrono::system_clock::time_point wall;  ///< at its end
  Duration wall_passed{}, steady_passed{};
  Duration read_cost{};              ///< of one look at the monotonic clock
  std::optional<bool> synchronised;  ///< as the kernel was told; nullopt: it does not say
};

struct DiskRoom {
  std::uint64_t free_bytes = 0;  ///< of its file system
  std::uint64_t used_bytes = 0;  ///< by what is in the folder already
};

/// Nothing it does stays behind. Threads: one.
class Machine {
 public:
  virtual ~Machine() = default;
  [[nodiscard]] virtual std::string program_version() const = 0;  ///< "0.1.0"
  /// A file below /proc or /sys; nullopt when it cannot be read.
  [[nodiscard]] virtual std::optional<std::string> text(const std::string& path) const = 0;
  /// Scalar first, the widest last.
  [[nodiscard]] virtual std::vector<backend::Isa> instruction_sets() const = 0;
  [[nodiscard]] virtual Cores cores() const = 0;
  [[nodiscard]] virtual MemoryRoom memory() const = 0;
  [[nodiscard]] virtual DescriptorLimits descriptors() const = 0;
  [[nodiscard]] virtual ClockSample clocks() const = 0;

  /// Whether a process could listen there now. Errors: address_in_use, io_failed (no such address here, or
  /// not allowed).
  [[nodiscard]] virtual Expected<void> listen(const std::string& host, std::uint16_t port) const = 0;
  /// Whether one of Troupe's processes serves HTTP there.
  [[nodiscard]] virtual bool troupe_answers(const std::string& host, std::uint16_t port) const = 0;
  /// Time of one round trip. Errors: as Directory's.
  [[nodiscard]] virtual Expected<Duration> ping_redis(const directory::RedisOptions& redis) const = 0;
  /// Whether frames can be shared with other processes of this host. Errors: io_failed.
  [[nodiscard]] virtual Expected<void> shared_memory() const = 0;

  /// Whether files can be made in `folder`, or in the nearest folder above it that exists. Errors: io_failed.
  [[nodiscard]] virtual Expected<void> writable(const std::filesystem::path& folder) const = 0;
  /// Errors: io_failed.
  [[nodiscard]] virtual Expected<DiskRoom> disk(const std::filesystem::path& folder) const = 0;
  /// Errors: file_not_found.
  [[nodiscard]] virtual Expected<std::uint64_t> file_bytes(const std::filesystem::path& path) const = 0;
  /// Errors: file_not_found, io_failed.
  [[nodiscard]] virtual Expected<std::string> sha256(const std::filesystem::path& path) const = 0;
  /// Errors: as read_model_facts.
  [[nodiscard]] virtual Expected<ModelFacts> model(const std::filesystem::path& path,
                                                   backend::DType kv_dtype) const = 0;
};

/// The one this process runs on.
[[nodiscard]] std::unique_ptr<Machine> this_machine();

}  // namespace troupe::cli::doctor
