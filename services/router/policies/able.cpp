#include "services/router/policies/able.hpp"

#include <string>

namespace troupe::router {

Expected<std::vector<std::size_t>> able_to_take(const RequestView& request,
                                                std::span<const Candidate> candidates) {
  if (candidates.empty()) return fail(Errc::no_ready_worker, "no worker is ready");
  const std::uint64_t pages = pages_for(std::uint64_t{request.prompt_tokens} + 1);
  bool fits_somewhere = false, any_pages_known = false;
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& worker = candidates[i];
    any_pages_known |= worker.pages_total != 0;
    if (worker.pages_total != 0 && worker.pages_total < pages) continue;
    fits_somewhere = true;
    if (worker.capacity != 0 && worker.load + request.choices > worker.capacity) continue;
    able.push_back(i);
  }
  if (!fits_somewhere && any_pages_known) {
    return fail(Errc::out_of_pages, "a prompt of " + std::to_string(request.prompt_tokens) +
                                        " tokens needs " + std::to_string(pages) +
                                        " KV pages, more than any worker has");
  }
  if (able.empty())
    return fail(Errc::queue_full, "all of " + std::to_string(candidates.size()) + " ready workers are full");
  return able;
}

}  // namespace troupe::router
