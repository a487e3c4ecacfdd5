#pragma once
// Workloads read from files, a JSON object a line:
// - Mooncake (Qin et al. 2024, arXiv:2407.00079): {"timestamp": ms, "input_length", "output_length",
//   "hash_ids"}, an id per block of 512 tokens. The text is not in the trace; each id stands for the same
//   generated text, so that requests share prefixes as the recorded ones did.
// - Spec-Bench (Xia et al. 2024, arXiv:2401.07851): {"question_id", "category", "turns"}; the first turns.
// - OpenAI batch input: {"custom_id", "method", "url", "body"}; only /v1/chat/completions.
#include <string_view>

#include "services/bench/workload.hpp"

namespace troupe::load {

/// Reads options.file. Errors: config_invalid without a file or with a scale not above 0, file_not_found,
/// file_malformed with the line.
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_trace(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_batch_file(const WorkloadOptions& options);

/// The same from text. Errors: file_malformed.
[[nodiscard]] Expected<std::unique_ptr<Workload>> parse_trace(std::string_view text,
                                                              const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> parse_batch(std::string_view text,
                                                              const WorkloadOptions& options);

}  // namespace troupe::load
