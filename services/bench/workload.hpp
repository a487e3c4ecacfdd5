#pragma once
// What is asked of an endpoint. A workload gives request number `index` as a function of its options and that
// number alone, so a run can be repeated, split into blocks, or sent to two endpoints.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"

namespace troupe::load {

struct Message {
  std::string role;
  std::string content;
  bool operator==(const Message&) const = default;
};

struct PlannedRequest {
  std::vector<Message> messages;
  std::uint32_t max_tokens = 0;
  std::string extra;  ///< further members of the body as a JSON object, "" for none
  bool operator==(const PlannedRequest&) const = default;
};

/// Lengths of 0 stand for the workload's own.
struct WorkloadOptions {
  std::uint64_t seed = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t prefix_tokens = 0;  ///< shared-prefix
  std::uint32_t tail_tokens = 0;    ///< shared-prefix
  std::uint32_t groups = 0;         ///< how many different prefixes or documents
  std::string file;                 ///< trace, batch-file
  double scale = 1;                 ///< of a trace's lengths
  double answer_scale = 0;          ///< of its answers; 0: as `scale`
};

/// Threads: immutable, any.
class Workload {
 public:
  virtual ~Workload() = default;
  [[nodiscard]] virtual PlannedRequest request(std::uint64_t index) const = 0;
  /// How many there are before they repeat; nullopt without end.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const { return std::nullopt; }
  /// When request `index` was made, since the first; nullopt where nobody wrote it down.
  [[nodiscard]] virtual std::optional<Duration> recorded_arrival(std::uint64_t) const { return std::nullopt; }
};

struct WorkloadEntry {
  std::string_view name, summary;
  Expected<std::unique_ptr<Workload>> (*make)(const WorkloadOptions& options);
};

/// builtin_workloads.cpp: one line per workload.
[[nodiscard]] const std::vector<WorkloadEntry>& builtin_workloads();

/// Errors: config_invalid naming the known ones; file_not_found, file_malformed.
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_workload(std::string_view name,
                                                                const WorkloadOptions& options);

/// Puts `mark` before the first message's text: no prefix of the result was in a cache before.
[[nodiscard]] PlannedRequest marked(PlannedRequest request, std::string_view mark);

}  // namespace troupe::load
