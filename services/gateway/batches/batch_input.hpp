#pragma once
// The lines of a batch's input file and of its output files, as OpenAI writes them:
//   {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", ...}}
//   {"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "request_id": "1", "body":
//   {...}}, "error": null}
#include <cstdint>
#include <string>
#include <string_view>

#include "services/gateway/batches/batch.hpp"

namespace troupe::gateway {

inline constexpr std::size_t kLongestCustomId = 512;

struct InputLine {
  std::string custom_id;
  std::string model;
  std::string body;  ///< a JSON object: what would be the body of a request
};

/// One line by itself. Errors: invalid_json_line, missing_required_parameter, invalid_value, url_mismatch.
[[nodiscard]] tl::expected<InputLine, BatchError> read_input_line(std::string_view text,
                                                                  std::string_view endpoint);

/// What lines must have in common.
class InputCheck {
 public:
  InputCheck(std::string endpoint, std::int64_t most_lines)
      : endpoint_(std::move(endpoint)), most_lines_(most_lines) {}

  /// The next line that is not blank. Errors: read_input_line's, model_mismatch, too_many_tasks.
  [[nodiscard]] tl::expected<InputLine, BatchError> read(std::string_view text);
  /// Of the lines read so far; "" while there are none.
  [[nodiscard]] const std::string& model() const { return model_; }
  /// No further line can be read.
  [[nodiscard]] bool full() const { return lines_ > most_lines_; }

 private:
  const std::string endpoint_;
  const std::int64_t most_lines_;
  std::int64_t lines_ = 0;
  std::string model_;
};

[[nodiscard]] BatchError duplicate_custom_id(const std::string& custom_id);
[[nodiscard]] BatchError empty_input();

/// A line's result: what came of it as a request.
[[nodiscard]] std::string output_line(const RequestId& request, std::string_view custom_id, int status,
                                      std::string_view body);
/// A line that was never asked.
[[nodiscard]] std::string unasked_line(const RequestId& id, std::string_view custom_id);
/// What an answer's body says was used; nothing where it says nothing.
[[nodiscard]] BatchUsage usage_in(std::string_view body);

}  // namespace troupe::gateway
