#include "services/bench/trace_workload.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "services/bench/text.hpp"

namespace troupe::load {
namespace {

using nlohmann::json;

constexpr std::uint64_t kBlockTokens = 512;         // of a Mooncake hash id
constexpr std::uint64_t kLongestPrompt = 1U << 20;  // tokens; more is a mistake in the file
constexpr std::uintmax_t kLargestFile = 256U << 20;
constexpr std::uint64_t kBlockText = 3;  // the purpose of its draws

struct TraceRow {
  Duration at{};
  std::uint64_t input = 0, output = 0;
  std::vector<std::uint64_t> blocks;
};

std::optional<std::uint64_t> count_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

class Trace final : public Workload {
 public:
  Trace(std::vector<TraceRow> rows, const WorkloadOptions& options)
      : rows_(std::move(rows)), options_(options) {}

  PlannedRequest request(std::uint64_t index) const override {
    const TraceRow& row = rows_[index % rows_.size()];
    std::string text;
    std::uint64_t left = row.input;
    for (const std::uint64_t id : row.blocks) {
      const std::uint64_t block = std::min(left, kBlockTokens);
      if (block == 0) break;
      left -= block;
      Random random(options_.seed, kBlockText, id);
      text.append(prose(random, scaled(block, options_.scale))).append("\n");
    }
    const double answers = options_.answer_scale > 0 ? options_.answer_scale : options_.scale;
    const std::uint32_t out = options_.max_tokens != 0 ? options_.max_tokens : scaled(row.output, answers);
    return {{{"user", std::move(text)}}, out, {}};
  }
  std::optional<std::uint64_t> size() const override { return rows_.size(); }
  std::optional<Duration> recorded_arrival(std::uint64_t index) const override {
    const Duration round = rows_.back().at + std::chrono::seconds(1);
    return rows_[index % rows_.size()].at + static_cast<std::int64_t>(index / rows_.size()) * round;
  }

 private:
  static std::uint32_t scaled(std::uint64_t tokens, double scale) {
    const double length = std::min(static_cast<double>(tokens) * scale, double{kLongestPrompt});
    return static_cast<std::uint32_t>(std::max(1.0, std::round(length)));
  }
  std::vector<TraceRow> rows_;
  WorkloadOptions options_;
};

/// Requests as they stand in the file.
class Listed final : public Workload {
 public:
  explicit Listed(std::vector<PlannedRequest> requests) : requests_(std::move(requests)) {}
  PlannedRequest request(std::uint64_t index) const override { return requests_[index % requests_.size()]; }
  std::optional<std::uint64_t> size() const override { return requests_.size(); }

 private:
  std::vector<PlannedRequest> requests_;
};

tl::unexpected<Error> bad_line(std::size_t line, std::string_view expected) {
  return fail(Errc::file_malformed, "line " + std::to_string(line) + ": expected " + std::string(expected));
}

/// Calls `read(object, line)` for each line that is not blank.
template <class Read>
Expected<void> each_line(std::string_view text, Read read) {
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const json object = json::parse(row, nullptr, false);
    if (!object.is_object()) return bad_line(line, "a JSON object");
    TROUPE_TRY(read(object, line));
  }
  return {};
}

Expected<TraceRow> read_row(const json& object, std::size_t line) {
  const auto at = count_at(object, "timestamp"), input = count_at(object, "input_length"),
             output = count_at(object, "output_length");
  const auto ids = object.find("hash_ids");
  if (!at || !input || !output || ids == object.end() || !ids->is_array())
    return bad_line(line, "timestamp, input_length, output_length and hash_ids");
  if (*input > kLongestPrompt || *output > kLongestPrompt || *at > 86'400'000ULL * 365)
    return bad_line(line, "lengths up to " + std::to_string(kLongestPrompt) + " and under a year");
  TraceRow row{std::chrono::milliseconds(*at), *input, *output, {}};
  for (const json& id : *ids) {
    if (!id.is_number_unsigned()) return bad_line(line, "hash_ids of whole numbers");
    row.blocks.push_back(id.get<std::uint64_t>());
  }
  if (row.blocks.size() * kBlockTokens < row.input) return bad_line(line, "a hash id per 512 tokens");
  return row;
}

Expected<PlannedRequest> read_prompt(const json& object, std::size_t line, const WorkloadOptions& options) {
  const auto turns = object.find("turns");
  if (turns == object.end() || !turns->is_array() || turns->empty() || !turns->front().is_string())
    return bad_line(line, "turns, a list of texts");
  return PlannedRequest{
      {{"user", turns->front().get<std::string>()}}, options.max_tokens != 0 ? options.max_tokens : 128, {}};
}

Expected<PlannedRequest> read_batch_row(json object, std::size_t line, const WorkloadOptions& options) {
  constexpr std::string_view kExpected =
      "custom_id, method, url /v1/chat/completions and a body with messages";
  const auto body = object.find("body");
  if (object.value("url", json()) != "/v1/chat/completions" || body == object.end() || !body->is_object())
    return bad_line(line, kExpected);
  const auto messages = body->find("messages");
  if (messages == body->end() || !messages->is_array() || messages->empty()) return bad_line(line, kExpected);
  PlannedRequest request;
  for (const json& message : *messages) {
    if (!message.is_object() || !message.value("role", json()).is_string() ||
        !message.value("content", json()).is_string())
      return bad_line(line, "messages with a role and a text");
    request.messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  const auto own = count_at(*body, "max_completion_tokens") ? count_at(*body, "max_completion_tokens")
                                                            : count_at(*body, "max_tokens");
  request.max_tokens = options.max_tokens != 0
                           ? options.max_tokens
                           : static_cast<std::uint32_t>(std::min(own.value_or(64), kLongestPrompt));
  for (const char* ours :
       {"messages", "max_tokens", "max_completion_tokens", "model", "stream", "stream_options"})
    body->erase(ours);
  if (!body->empty()) request.extra = body->dump();
  return request;
}

Expected<std::string> read_file(const WorkloadOptions& options) {
  if (options.file.empty()) return fail(Errc::config_invalid, "this workload reads a file: give --file");
  std::error_code error;
  const auto size = std::filesystem::file_size(options.file, error);
  if (error) return fail(Errc::file_not_found, options.file + ": " + error.message());
  if (size > kLargestFile) return fail(Errc::file_malformed, options.file + " is over 256 MiB");
  std::ifstream in(options.file, std::ios::binary);
  if (!in) return fail(Errc::file_not_found, options.file);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Expected<std::unique_ptr<Workload>> from_file(const WorkloadOptions& options, decltype(parse_trace)* parse) {
  const auto text = read_file(options);
  if (!text) return tl::unexpected<Error>(text.error());
  auto made = parse(*text, options);
  if (!made) made.error().detail.insert(0, options.file + ", ");
  return made;
}

Expected<std::unique_ptr<Workload>> listed(std::vector<PlannedRequest> requests) {
  if (requests.empty()) return fail(Errc::file_malformed, "no requests");
  return std::make_unique<Listed>(std::move(requests));
}

}  // namespace

Expected<std::unique_ptr<Workload>> parse_trace(std::string_view text, const WorkloadOptions& options) {
  if (!(options.scale > 0)) return fail(Errc::config_invalid, "--scale: expected a number above 0");
  std::vector<TraceRow> rows;
  std::vector<PlannedRequest> prompts;
  TROUPE_TRY(each_line(text, [&](const json& object, std::size_t line) -> Expected<void> {
    if (object.contains("turns") ? !rows.empty() : !prompts.empty())
      return bad_line(line, "one kind of line in a file");
    if (object.contains("turns")) {
      auto prompt = read_prompt(object, line, options);
      if (!prompt) return tl::unexpected<Error>(std::move(prompt.error()));
      prompts.push_back(std::move(*prompt));
      return {};
    }
    auto row = read_row(object, line);
    if (!row) return tl::unexpected<Error>(std::move(row.error()));
    if (!rows.empty() && row->at < rows.back().at) return bad_line(line, "timestamps in order");
    rows.push_back(std::move(*row));
    return {};
  }));
  if (rows.empty()) return listed(std::move(prompts));
  for (const Duration first = rows.front().at; TraceRow & row : rows) row.at -= first;
  return std::make_unique<Trace>(std::move(rows), options);
}

Expected<std::unique_ptr<Workload>> parse_batch(std::string_view text, const WorkloadOptions& options) {
  std::vector<PlannedRequest> requests;
  TROUPE_TRY(each_line(text, [&](const json& object, std::size_t line) -> Expected<void> {
    auto request = read_batch_row(object, line, options);
    if (!request) return tl::unexpected<Error>(std::move(request.error()));
    requests.push_back(std::move(*request));
    return {};
  }));
  return listed(std::move(requests));
}

Expected<std::unique_ptr<Workload>> make_trace(const WorkloadOptions& options) {
  return from_file(options, parse_trace);
}
Expected<std::unique_ptr<Workload>> make_batch_file(const WorkloadOptions& options) {
  return from_file(options, parse_batch);
}

}  // namespace troupe::load
