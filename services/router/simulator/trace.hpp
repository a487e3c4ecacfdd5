#pragma once
// What is simulated: requests with arrival, lengths and the blocks of their prompts. Read from Mooncake's
// traces [Qin et al. 2024, arXiv:2407.00079], or generated small and reproducible.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/error.hpp"

namespace troupe::router {

struct TraceRequest {
  Duration arrives{};
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  std::vector<std::uint64_t> blocks;  ///< an id per begun block; equal ids after equal ids are equal text
  std::uint64_t session = 0;          ///< 0: none
};

struct Trace {
  std::string name;
  std::uint32_t block_tokens = 512;
  std::vector<TraceRequest> requests;  ///< by arrival
};

/// JSON lines: {"timestamp": ms, "input_length", "output_length", "hash_ids"}. `scale` shrinks lengths and
/// blocks alike. Errors: file_malformed with the line, config_invalid for a scale that leaves no block.
[[nodiscard]] Expected<Trace> parse_trace(std::string name, std::string_view text, double scale = 1);
/// Errors: file_not_found, file_malformed.
[[nodiscard]] Expected<Trace> read_trace(const std::string& path, double scale = 1);

/// Conversations of several turns behind a few shared beginnings.
struct ChatTraceOptions {
  std::uint64_t seed = 1;
  std::size_t sessions = 60;
  std::uint32_t turns = 4;            ///< of a session at most
  std::uint32_t shared_prefixes = 4;  ///< system prompts, the first ones hotter [Zipf]
  std::uint32_t prefix_blocks = 4;
  std::uint32_t turn_blocks = 3;  ///< a turn adds up to so many
  std::uint32_t mean_output = 200;
  double sessions_per_second = 1;
  std::uint32_t block_tokens = 512;
};
[[nodiscard]] Trace chat_trace(const ChatTraceOptions& options);

}  // namespace troupe::router
