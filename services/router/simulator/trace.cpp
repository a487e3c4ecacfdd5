#include "services/router/simulator/trace.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <nlohmann/json.hpp>

#include "services/router/simulator/random.hpp"

namespace troupe::router {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLongest = 1u << 20;
constexpr std::uintmax_t kLargestFile = 256u << 20;
constexpr std::uint32_t kMooncakeBlock = 512;

std::optional<std::uint64_t> count_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

std::uint32_t scaled(std::uint64_t tokens, double scale) {
  return static_cast<std::uint32_t>(std::max(1.0, std::round(static_cast<double>(tokens) * scale)));
}

Expected<TraceRequest> read_row(std::string_view line, std::size_t number, double scale) {
  const auto bad = [&](const char* expected) {
    return fail(Errc::file_malformed, "line " + std::to_string(number) + ": expected " + expected);
  };
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return bad("a JSON object");
  const auto at = count_at(object, "timestamp"), input = count_at(object, "input_length"),
             output = count_at(object, "output_length");
  const auto ids = object.find("hash_ids");
  if (!at || !input || !output || ids == object.end() || !ids->is_array())
    return bad("timestamp, input_length, output_length and hash_ids");
  if (*input == 0 || *input > kLongest || *output > kLongest || *at > 86'400'000ULL * 365)
    return bad("lengths up to 1048576 and under a year");
  TraceRequest row{std::chrono::milliseconds(*at), scaled(*input, scale), scaled(*output, scale), {}, 0};
  for (const json& id : *ids) {
    if (!id.is_number_unsigned()) return bad("hash_ids of whole numbers");
    row.blocks.push_back(id.get<std::uint64_t>());
  }
  return row;
}

}  // namespace

Expected<Trace> parse_trace(std::string name, std::string_view text, double scale) {
  Trace trace;
  trace.name = std::move(name);
  if (!(scale > 0) || scale > 1 || std::round(kMooncakeBlock * scale) < 1)
    return fail(Errc::config_invalid, "a trace's scale lies between 1/512 and 1");
  trace.block_tokens = scaled(kMooncakeBlock, scale);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto row = read_row(line, number, scale);
    if (!row) return tl::unexpected<Error>(row.error());
    trace.requests.push_back(std::move(*row));
  }
  if (trace.requests.empty()) return fail(Errc::file_malformed, "no requests");
  std::ranges::stable_sort(trace.requests, {}, &TraceRequest::arrives);
  const Duration first = trace.requests.front().arrives;
  for (TraceRequest& request : trace.requests) request.arrives -= first;
  return trace;
}

Expected<Trace> read_trace(const std::string& path, double scale) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::file_not_found, path + ": " + error.message());
  if (size > kLargestFile) return fail(Errc::file_malformed, path + " is over 256 MiB");
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::file_not_found, path);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  auto trace = parse_trace(std::filesystem::path(path).stem().string(), text, scale);
  if (!trace) trace.error().detail.insert(0, path + ", ");
  return trace;
}

Trace chat_trace(const ChatTraceOptions& options) {
  Trace trace;
  trace.name = "chat";
  trace.block_tokens = options.block_tokens;
  Random random(options.seed);
  std::uint64_t next_block = std::uint64_t{options.shared_prefixes} * options.prefix_blocks;
  double begins = 0;
  for (std::size_t session = 1; session <= options.sessions; ++session) {
    begins += random.exponential(1 / options.sessions_per_second);
    double harmonic = 0;
    for (std::uint32_t i = 1; i <= options.shared_prefixes; ++i) harmonic += 1.0 / i;
    double pick = random.unit() * harmonic;
    std::uint64_t prefix = 0;
    while (prefix + 1 < options.shared_prefixes && (pick -= 1.0 / static_cast<double>(prefix + 1)) > 0)
      ++prefix;
    std::vector<std::uint64_t> blocks;
    for (std::uint64_t i = 0; i < options.prefix_blocks; ++i)
      blocks.push_back(prefix * options.prefix_blocks + i);
    double at = begins;
    const std::uint64_t turns = 1 + random.below(options.turns);
    for (std::uint64_t turn = 0; turn < turns; ++turn) {
      const std::uint64_t grown = 1 + random.below(options.turn_blocks);
      for (std::uint64_t i = 0; i < grown; ++i) blocks.push_back(next_block++);
      const auto tokens = static_cast<std::uint32_t>(blocks.size() * options.block_tokens -
                                                     random.below(options.block_tokens));
      const auto output = static_cast<std::uint32_t>(1 + random.exponential(options.mean_output));
      trace.requests.push_back(
          {std::chrono::microseconds(static_cast<std::int64_t>(at * 1e6)), tokens, output, blocks, session});
      at += 5 + random.exponential(10);
    }
  }
  std::ranges::stable_sort(trace.requests, {}, &TraceRequest::arrives);
  return trace;
}

}  // namespace troupe::router
