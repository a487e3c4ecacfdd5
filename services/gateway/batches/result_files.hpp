#pragma once
// Writes the results of a batch out, in the order of its input, in steps: its output file, its error file.
#include <cstdint>
#include <optional>

#include "services/gateway/batches/batch_store.hpp"

namespace troupe::gateway {

class ResultFiles {
 public:
  /// Goes on writing; whether all is written. Lines that were never asked are errors where the batch's
  /// window ended. Errors: io_failed; then begin anew.
  [[nodiscard]] Expected<bool> step(BatchStore& store, const Batch& batch);

  /// Null where no line belongs there.
  [[nodiscard]] FileWriter* output() { return output_ ? &*output_ : nullptr; }
  [[nodiscard]] FileWriter* errors() { return errors_ ? &*errors_ : nullptr; }

 private:
  [[nodiscard]] Expected<void> write(std::optional<FileWriter>& file, BatchStore& store,
                                     const std::string& line);

  std::int64_t written_ = 0, unasked_ = 0;  ///< the last line of each kind
  bool all_written_ = false;
  std::optional<FileWriter> output_, errors_;
};

}  // namespace troupe::gateway
