#include "services/gateway/batches/result_files.hpp"

#include "services/gateway/batches/batch_input.hpp"

namespace troupe::gateway {
namespace {

constexpr std::int64_t kLinesPerStep = 250;

}  // namespace

Expected<bool> ResultFiles::step(BatchStore& store, const Batch& batch) {
  if (!all_written_) {
    const auto results = store.results(batch.serial, written_, kLinesPerStep);
    if (!results) return tl::unexpected<Error>(results.error());
    for (const LineResult& result : *results) {
      TROUPE_TRY(write(result.failed ? errors_ : output_, store, result.text));
      written_ = result.line;
    }
    all_written_ = results->empty();
    return all_written_ && !batch.ran_out;
  }
  const auto places = store.unanswered(batch.serial, unasked_, kLinesPerStep);
  if (!places) return tl::unexpected<Error>(places.error());
  for (const InputPlace& place : *places) {
    TROUPE_TRY(write(errors_, store, unasked_line(random_id<RequestId>(), place.custom_id)));
    unasked_ = place.line;
  }
  return places->empty();
}

Expected<void> ResultFiles::write(std::optional<FileWriter>& file, BatchStore& store,
                                  const std::string& line) {
  if (!file) {
    auto made = store.new_content();
    if (!made) return tl::unexpected<Error>(std::move(made.error()));
    file.emplace(std::move(*made));
  }
  return file->write(line);
}

}  // namespace troupe::gateway
