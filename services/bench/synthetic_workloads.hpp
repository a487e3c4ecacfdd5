#pragma once
// Workloads made of generated text.
#include "services/bench/workload.hpp"

namespace troupe::load {

[[nodiscard]] Expected<std::unique_ptr<Workload>> make_chat(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_shared_prefix(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_long_prompt(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_decode_heavy(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_copy_edit(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_code(const WorkloadOptions& options);
[[nodiscard]] Expected<std::unique_ptr<Workload>> make_documents(const WorkloadOptions& options);

}  // namespace troupe::load
