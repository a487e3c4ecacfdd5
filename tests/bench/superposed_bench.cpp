// What superposed drafts cost and are worth [Shen et al. 2024, arXiv:2405.18400]: k short completions by one request
// for them, by k requests one after the other, and by one request for k choices; and how likely the model itself
// thinks what came of it. With one thread its CPU
// time is counted; ways take turns, and the median of each is printed.
// Usage: superposed_bench MODEL.gguf TEXT [threads] [tokens] [rounds]
// Prompts are cut from the second half of TEXT, n-grams counted in its first half.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/sampling/superposed/superposed_search.hpp"
#include "common/tokenizer/tokenizer.hpp"

namespace {

using namespace troupe;

constexpr std::uint32_t kPromptTokens = 15;  // as the paper's
enum Way { superposed, sequential, batched, ways };

bool count_cpu_time = false;

double now() {
  timespec time{};
  clock_gettime(count_cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <class Value>
Value need(Expected<Value> value) {
  if (value) return std::move(*value);
  std::fprintf(stderr, "%s\n", to_string(value.error()).c_str());
  std::exit(2);
}
void need(const Expected<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  std::exit(2);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

using Texts = std::vector<std::vector<TokenId>>;

class Bench {
 public:
  Bench(engine::Engine& engine, std::uint32_t tokens) : engine_(engine), tokens_(tokens) {}

  Texts run(Way way, std::uint32_t k, const std::vector<TokenId>& prompt) {
    engine::Request request;
    request.prompt = prompt;
    request.max_tokens = tokens_;
    request.choices = k;
    if (way == superposed) {
      request.superposed = superposed_defaults(k);
      request.sampling.temperature = 0;
      return answers(request);
    }
    request.sampling.top_p = 0.9f;  // nucleus sampling, what the paper compares with
    request.sampling.seed = 1;
    if (way == batched) return answers(request);
    Texts out;
    request.choices = 1;
    for (request.first_choice = 0; request.first_choice < k; ++request.first_choice)
      for (auto& text : answers(request)) out.push_back(std::move(text));
    return out;
  }

  /// Whether one draft without n-grams is greedy decoding, and eight drafts begin with the model's best tokens.
  bool holds(const std::vector<TokenId>& prompt) {
    engine::Request greedy;
    greedy.prompt = prompt;
    greedy.max_tokens = kMostSuperposedTokens;
    greedy.sampling.temperature = 0;
    engine::Request one = greedy;
    one.superposed = superposed_defaults(1);
    one.superposed.alpha = 0;
    if (answers(one) != answers(greedy)) return false;
    one.superposed = superposed_defaults(8);
    one.superposed.alpha = 0;
    one.choices = 8;
    one.max_tokens = 1;
    Texts best;
    for (const TokenLogprob& token : best_after(prompt, 8)) best.push_back({token.token});
    return answers(one) == best;
  }

  /// Mean log-probability of the tokens of `text` behind `prompt`, as the model alone has it.
  double score(const std::vector<TokenId>& prompt, const std::vector<TokenId>& text) {
    engine::Request request;
    request.prompt = prompt;
    request.prompt.insert(request.prompt.end(), text.begin(), text.end());
    request.prompt_logprobs = request.sampling.report_logprobs = true;
    std::vector<GeneratedToken> told;
    request.id = {1, ++requests_};
    need(engine_.submit(request));
    while (engine_.has_work())
      for (auto& event : engine_.step().tokens)
        if (!event.prompt_tokens.empty()) told = std::move(event.prompt_tokens);
    double sum = 0;
    for (std::size_t i = prompt.size(); i < told.size(); ++i) sum += static_cast<double>(told[i].logprob);
    return sum / static_cast<double>(text.size());
  }

 private:
  Texts answers(engine::Request request) {
    request.id = {1, ++requests_};
    Texts out(request.choices);
    need(engine_.submit(request));
    while (engine_.has_work())
      for (const auto& event : engine_.step().tokens)
        for (const GeneratedToken& token : event.tokens) out[event.choice - request.first_choice].push_back(token.token);
    return out;
  }

  std::vector<TokenLogprob> best_after(const std::vector<TokenId>& prompt, std::uint32_t count) {
    engine::Request request;
    request.id = {1, ++requests_};
    request.prompt = prompt;
    request.sampling.temperature = 0;
    request.sampling.logprobs = count;
    std::vector<TokenLogprob> best;
    need(engine_.submit(request));
    while (engine_.has_work())
      for (const auto& event : engine_.step().tokens)
        if (!event.tokens.empty()) best = event.tokens.front().top;
    return best;
  }

  engine::Engine& engine_;
  std::uint32_t tokens_;
  std::uint64_t requests_ = 0;
};

void compare(Bench& bench, std::uint32_t k, const Texts& prompts, int rounds) {
  std::array<std::vector<double>, ways> times;
  std::array<double, ways> scores{}, counts{};
  for (const auto& prompt : prompts) {
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t way = 0; way < ways; ++way) {
        const double start = now();
        const Texts texts = bench.run(static_cast<Way>(way), k, prompt);
        times[way].push_back(now() - start);
        if (round > 0) continue;
        for (const auto& text : texts) scores[way] += bench.score(prompt, text);
        counts[way] += static_cast<double>(texts.size());
      }
    }
  }
  const double fast = median(times[superposed]);
  std::printf("k %2u  superposed %7.1f ms   sequential %7.1f ms (%.2fx)   batched %7.1f ms (%.2fx)   log-probability a token "
              "%.3f, of nucleus samples %.3f\n", k, fast * 1e3, median(times[sequential]) * 1e3, median(times[sequential]) / fast,
              median(times[batched]) * 1e3, median(times[batched]) / fast, scores[superposed] / counts[superposed],
              scores[sequential] / counts[sequential]);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: superposed_bench MODEL.gguf TEXT [threads] [tokens] [rounds]\n");
    return 2;
  }
  backend::CpuOptions cpu;
  cpu.threads = argc > 3 ? static_cast<std::uint32_t>(std::atoi(argv[3])) : 1;
  count_cpu_time = cpu.threads == 1;
  const std::uint32_t tokens = argc > 4 ? static_cast<std::uint32_t>(std::atoi(argv[4])) : 16;
  const int rounds = argc > 5 ? std::atoi(argv[5]) : 3;
  const std::shared_ptr<const Model> model = need(Model::load(argv[1]));
  const auto tokenizer = need(Tokenizer::from_gguf(model->file()));
  std::ifstream in(argv[2], std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const std::vector<TokenId> all = need(tokenizer->encode(text, SpecialTokens::as_text, false));
  const std::size_t half = all.size() / 2;
  constexpr std::size_t kPrompts = 8;
  if (half < kPrompts * kPromptTokens * 4) {
    std::fprintf(stderr, "%s has %zu tokens, too few\n", argv[2], all.size());
    return 2;
  }
  auto table = std::make_shared<NgramTable>(4'000'000);
  table->add(std::span(all).first(half));
  Texts prompts;
  for (std::size_t i = 0; i < kPrompts; ++i) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(half + i * (half / kPrompts));
    prompts.emplace_back(begin, begin + kPromptTokens);
  }
  engine::EngineOptions options;
  options.kv_bytes = std::uint64_t{512} << 20U;
  options.ngrams = table;
  const SteadyClock clock;
  const std::shared_ptr<backend::Backend> backend = need(backend::make_cpu_backend(cpu));
  const auto engine = need(engine::Engine::create(model, backend, options, clock));
  std::printf("%s, %u threads, %u tokens, %zu runs of %zu tokens of text\n", backend->info().name.c_str(), cpu.threads, tokens,
              table->runs(), half);
  Bench bench(*engine, tokens);
  const auto held = std::count_if(prompts.begin(), prompts.end(), [&](const auto& prompt) { return bench.holds(prompt); });
  std::printf("one draft is greedy decoding, eight begin with the model's best: %td of %zu prompts\n", held, prompts.size());
  if (static_cast<std::size_t>(held) != prompts.size()) return 1;
  for (const std::uint32_t k : {2U, 3U, 4U, 10U}) compare(bench, k, prompts, rounds);
  return 0;
}
