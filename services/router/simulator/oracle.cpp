#include "services/router/simulator/oracle.hpp"

#include <algorithm>
#include <limits>
#include <span>

namespace troupe::router {
namespace {

struct Row {
  std::uint32_t left = 0;    ///< tokens still to make
  std::uint32_t prompt = 0;  ///< still to compute before
  double context = 0;
};

std::uint32_t uncached(const WorkerModel& model, const Sequence& sequence) {
  const std::uint32_t block = model.spec().block_tokens;
  const std::uint32_t usable = (sequence.prompt_tokens - 1) / block;
  const std::span<const std::uint64_t> blocks(*sequence.blocks);
  return sequence.prompt_tokens -
         model.cache().match(blocks.first(std::min<std::size_t>(blocks.size(), usable))) * block;
}

std::vector<Row> rows_of(const WorkerModel& model) {
  std::vector<Row> rows;
  for (const Sequence& s : model.running())
    rows.push_back({s.output_tokens - s.made, s.prompt_tokens - std::min(s.computed, s.prompt_tokens),
                    static_cast<double>(s.prompt_tokens + s.made)});
  for (const Sequence& s : model.waiting())
    rows.push_back({s.output_tokens, uncached(model, s), static_cast<double>(s.prompt_tokens)});
  return rows;
}

}  // namespace

double foreseen_first_token(const OracleWorker& worker, const Sequence& request) {
  const WorkerModel& model = *worker.model;
  const WorkerSpec& spec = model.spec();
  std::vector<Row> rows = rows_of(model);
  if (worker.coming_tokens != 0) rows.push_back({1, static_cast<std::uint32_t>(worker.coming_tokens), 0});
  rows.push_back({1, uncached(model, request), static_cast<double>(request.prompt_tokens)});
  double us = std::chrono::duration<double, std::micro>(worker.step_left).count();
  while (rows.back().prompt != 0) {
    const auto streams =
        static_cast<std::uint32_t>(std::ranges::count_if(rows, [](const Row& row) { return row.prompt == 0 && row.left != 0; }));
    std::uint32_t budget = spec.budget_tokens - std::min(streams, spec.budget_tokens - 1);
    double prompt = 0, decoding = 0, context = 0, pairs = 0;
    for (Row& row : rows) {
      if (row.prompt == 0) {
        if (row.left == 0) continue;
        --row.left;
        decoding += 1;
        context += row.context;
        continue;
      }
      const std::uint32_t chunk = std::min({row.prompt, spec.chunk_tokens, budget});
      if (chunk != 0) context += row.context / 2;
      pairs += chunk * (row.context - row.prompt) + 0.5 * chunk * chunk;
      row.prompt -= chunk;
      budget -= chunk;
      prompt += chunk;
    }
    us += spec.step.us(prompt, decoding, context, pairs) / spec.speed;
  }
  return us;
}

std::size_t oracle_choice(const std::vector<OracleWorker>& workers, const Sequence& request) {
  std::size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const WorkerModel& model = *workers[i].model;
    const double own = uncached(model, request) * model.spec().step.prompt_token / model.spec().speed;
    const double rows = static_cast<double>(model.running().size() + model.waiting().size());
    // Its answer slows every neighbour for as long as both last.
    const double slowed = rows * model.spec().step.row * request.output_tokens / 2 / model.spec().speed;
    const double cost = foreseen_first_token(workers[i], request) + own + slowed;
    if (cost >= least) continue;
    least = cost;
    best = i;
  }
  return best;
}

}  // namespace troupe::router
