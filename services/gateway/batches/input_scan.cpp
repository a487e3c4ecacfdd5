#include "services/gateway/batches/input_scan.hpp"

#include <utility>

namespace troupe::gateway {

Expected<bool> InputScan::step(BatchStore& store, std::int64_t batch) {
  const auto piece = input_.read(begun_ + static_cast<std::int64_t>(waiting_.size()), limits_.step_bytes);
  if (!piece) return tl::unexpected<Error>(piece.error());
  const bool end = piece->size() < limits_.step_bytes;
  waiting_ += *piece;
  auto transaction = store.transaction();
  if (!transaction) return tl::unexpected<Error>(std::move(transaction.error()));
  std::size_t from = 0;
  while (!hopeless() && from < waiting_.size()) {
    const auto stop = waiting_.find('\n', from);
    if (stop == std::string::npos && !end) break;
    const std::size_t size = (stop == std::string::npos ? waiting_.size() : stop) - from;
    TROUPE_TRY(take_line(std::string_view(waiting_).substr(from, size), store, batch));
    const std::size_t used = size + (stop == std::string::npos ? 0 : 1);
    from += used;
    begun_ += static_cast<std::int64_t>(used);
  }
  waiting_.erase(0, from);
  TROUPE_TRY(transaction->commit());
  if (waiting_.size() > limits_.line_bytes) {
    ++number_;
    note({"invalid_json_line", "This line is over " + std::to_string(limits_.line_bytes) + " bytes.", "", 0});
    return true;
  }
  if (end && lines_ == 0 && errors_.empty()) errors_.push_back(empty_input());
  return end || hopeless();
}

Expected<void> InputScan::take_line(std::string_view text, BatchStore& store, std::int64_t batch) {
  ++number_;
  if (text.find_first_not_of(" \t\r") == std::string_view::npos) return {};
  auto line = check_.read(text);
  if (!line) {
    note(std::move(line.error()));
    return {};
  }
  const auto added =
      store.add_line(batch, {number_, begun_, static_cast<std::int64_t>(text.size()), line->custom_id});
  if (!added) return tl::unexpected<Error>(added.error());
  *added ? void(++lines_) : note(duplicate_custom_id(line->custom_id));
  return {};
}

void InputScan::note(BatchError error) {
  error.line = number_;
  errors_.push_back(std::move(error));
}

}  // namespace troupe::gateway
