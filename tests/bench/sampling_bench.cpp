// Microseconds per sample() over the vocabulary of SmolLM2 (49152), on logits shaped like a model's: most far below the
// best. Usage: sampling_bench [draws]. The thread's CPU time is counted; the figure is the median of nine rounds.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "common/sampling/sampler.hpp"

namespace {

using namespace troupe;

constexpr std::uint32_t kVocab = 49152;

double now_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// A sum of four uniform numbers, near enough to a bell curve: standard deviation `spread`, about 0.
std::vector<float> logits_of(std::uint32_t seed, double spread) {
  std::vector<float> logits(kVocab);
  for (std::uint32_t i = 0; i < kVocab; ++i) {
    double sum = -2.0;
    for (std::uint32_t k = 0; k < 4; ++k) sum += uniform_draw(seed, k, i, DrawPurpose::sample, 0);
    logits[i] = static_cast<float>(sum * 1.732 * spread);
  }
  for (std::uint32_t i = 0; i < 12; ++i) logits[(i * 4099 + seed * 17) % kVocab] += static_cast<float>(5.0 * spread - 0.4 * i);
  return logits;
}

void measure(const char* name, const std::vector<std::vector<float>>& rows, const TokenHistory& history, int draws,
             const SamplingParams& params) {
  std::vector<double> rounds;
  std::uint64_t position = 0;
  std::int64_t sum = 0;  // printed, so that no draw is left out
  for (int round = 0; round < 9; ++round) {
    const double start = now_us();
    for (int i = 0; i < draws; ++i, ++position) sum += sample(rows[position % rows.size()], params, &history, 0, position).token;
    rounds.push_back((now_us() - start) / draws);
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-34s %8.1f us   (best %.1f, check %lld)\n", name, rounds[4], rounds[0], static_cast<long long>(sum));
}

}  // namespace

int main(int argc, char** argv) {
  const int draws = argc > 1 ? std::max(1, std::atoi(argv[1])) : 200;
  TokenHistory history(kVocab);
  for (TokenId i = 0; i < 600; ++i) history.add_prompt(i * 53);
  for (TokenId i = 0; i < 200; ++i) history.add_answer(i * 71);
  struct Case {
    const char* name;
    std::function<void(SamplingParams&)> change;
  };
  const Case cases[] = {
      {"greedy", [](SamplingParams& p) { p.temperature = 0.0f; }},
      {"temperature 1", [](SamplingParams&) {}},
      {"top-p 0.9", [](SamplingParams& p) { p.top_p = 0.9f; }},
      {"top-k 40", [](SamplingParams& p) { p.top_k = 40; }},
      {"min-p 0.05", [](SamplingParams& p) { p.min_p = 0.05f; }},
      {"typical 0.9", [](SamplingParams& p) { p.typical_p = 0.9f; }},
      {"penalties, temperature 1",
       [](SamplingParams& p) { p.repetition_penalty = 1.1f, p.frequency_penalty = 0.5f, p.presence_penalty = 0.5f; }},
      {"top-k 40, top-p 0.95, temp. 0.8", [](SamplingParams& p) { p.top_k = 40, p.top_p = 0.95f, p.temperature = 0.8f; }},
      {"temperature 1, 5 alternatives", [](SamplingParams& p) { p.report_logprobs = true, p.logprobs = 5; }},
  };
  for (const double spread : {0.5, 3.0}) {  // nearly flat; as a model's
    std::vector<std::vector<float>> rows;
    for (std::uint32_t seed = 0; seed < 8; ++seed) rows.push_back(logits_of(seed, spread));
    std::printf("standard deviation %.1f\n", spread);
    for (const Case& one : cases) {
      SamplingParams params;
      one.change(params);
      measure(one.name, rows, history, draws, params);
    }
  }
  return 0;
}
