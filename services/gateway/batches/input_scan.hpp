#pragma once
// Reads a batch's input once, in steps, so that nobody waits long behind a large file: finds where each
// request is and what is wrong.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/batches/batch_input.hpp"
#include "services/gateway/batches/batch_store.hpp"

namespace troupe::gateway {

struct ScanLimits {
  std::int64_t lines = 50'000;
  std::size_t line_bytes = 8U << 20;    ///< of one line
  std::size_t step_bytes = 256U << 10;  ///< read at a time
};

class InputScan {
 public:
  InputScan(FileReader input, std::string endpoint, const ScanLimits& limits)
      : input_(std::move(input)), limits_(limits), check_(std::move(endpoint), limits.lines) {}

  /// Goes on reading; whether it is through. Lines go to the store. Errors: io_failed.
  [[nodiscard]] Expected<bool> step(BatchStore& store, std::int64_t batch);

  [[nodiscard]] const std::vector<BatchError>& errors() const { return errors_; }
  [[nodiscard]] std::int64_t lines() const { return lines_; }  ///< that are right
  [[nodiscard]] const std::string& model() const { return check_.model(); }

 private:
  [[nodiscard]] Expected<void> take_line(std::string_view text, BatchStore& store, std::int64_t batch);
  void note(BatchError error);
  [[nodiscard]] bool hopeless() const { return check_.full() || errors_.size() >= kMostBatchErrors; }

  const FileReader input_;
  const ScanLimits limits_;
  InputCheck check_;
  std::string waiting_;      ///< a line whose end has not been read
  std::int64_t begun_ = 0;   ///< where it begins
  std::int64_t number_ = 0;  ///< of the last line, blank ones counted
  std::int64_t lines_ = 0;
  std::vector<BatchError> errors_;
};

}  // namespace troupe::gateway
