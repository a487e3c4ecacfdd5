#pragma once
// What one request came to, and how it is read from a stream of OpenAI events.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "services/bench/stream_pool.hpp"
#include "services/bench/workload.hpp"

namespace troupe::load {

/// Times are since the run's begin. Before the first text `token_times` is empty.
struct Record {
  std::uint64_t index = 0;  ///< of the workload
  Duration due{};           ///< when it was to be sent: waiting for a free stream counts as latency
  Duration ended{};
  std::vector<Duration> token_times;  ///< of each event that carried text
  std::uint64_t prompt_tokens = 0, cached_tokens = 0;
  std::uint64_t output_tokens = 0;  ///< by the server's count, else the events with text
  bool usage_seen = false;
  std::string
      error;  ///< its kind: "http_429", "peer_lost", "error_event", ...; "" when the answer came whole

  [[nodiscard]] bool good() const { return error.empty(); }
  [[nodiscard]] std::optional<Duration> first_token() const;  ///< since due
  [[nodiscard]] Duration whole() const { return ended - due; }
  /// Between events that carried text.
  [[nodiscard]] std::vector<Duration> gaps() const;
};

/// Reads one event's data into the record. False for what is no event of the API.
bool read_event(std::string_view data, Duration at, Record& record);
/// Closes the record: its end and, where it is one, the error's kind.
void read_end(const StreamEnd& end, Duration at, Record& record);

struct RequestSettings {
  std::string model;
  std::string api_key;
  bool ignore_eos = false;   ///< answers of exactly max_tokens, where the server knows the member
  bool completions = false;  ///< /completions with the messages' texts instead of /chat/completions
  std::optional<double> temperature;
};

/// The HTTP request; `path` is below the endpoint's.
[[nodiscard]] HttpRequest make_http_request(const Url& url, const RequestSettings& settings,
                                            const PlannedRequest& planned, std::uint64_t seed);

}  // namespace troupe::load
