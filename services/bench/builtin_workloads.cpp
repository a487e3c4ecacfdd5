#include <algorithm>

#include "common/config/edit_distance.hpp"
#include "services/bench/synthetic_workloads.hpp"
#include "services/bench/trace_workload.hpp"
#include "services/bench/workload.hpp"

namespace troupe::load {

const std::vector<WorkloadEntry>& builtin_workloads() {
  static const std::vector<WorkloadEntry> kWorkloads{
      {"chat", "short questions of 20 to 200 tokens, 64 tokens out", make_chat},
      {"shared-prefix", "one prefix of 1024 tokens, tails of 64, 64 out", make_shared_prefix},
      {"long-prompt", "4096 tokens in, 32 out", make_long_prompt},
      {"decode-heavy", "32 tokens in, 256 out", make_decode_heavy},
      {"copy-edit", "a text of 200 tokens to repeat with one word changed", make_copy_edit},
      {"code", "a file of 160 tokens to continue, 128 out", make_code},
      {"documents", "questions about 8 documents of 1024 tokens, 64 out", make_documents},
      {"batch-file", "the requests of an OpenAI batch file (--file)", make_batch_file},
      {"trace", "a Mooncake trace or Spec-Bench prompts (--file)", make_trace},
  };
  return kWorkloads;
}

Expected<std::unique_ptr<Workload>> make_workload(std::string_view name, const WorkloadOptions& options) {
  std::vector<std::string> names;
  for (const WorkloadEntry& entry : builtin_workloads()) {
    if (entry.name == name) return entry.make(options);
    names.emplace_back(entry.name);
  }
  std::string known;
  for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
  return fail(Errc::config_invalid, "unknown workload " + std::string(name) +
                                        did_you_mean(std::string(name), names) + ", expected one of " +
                                        known);
}

PlannedRequest marked(PlannedRequest request, std::string_view mark) {
  if (!request.messages.empty()) request.messages.front().content.insert(0, mark);
  return request;
}

}  // namespace troupe::load
