#include "services/cli/capacity_plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "common/config/model_catalog.hpp"
#include "common/config/options.hpp"
#include "services/cli/learnt_costs.hpp"
#include "services/cli/model_facts.hpp"
#include "services/router/policies/policy.hpp"
#include "services/router/simulator/traffic.hpp"

namespace troupe::cli {
namespace {

using router::CapacityAnswer;
using router::CapacityTry;

constexpr double kMostRequests = 1e6;
constexpr double kLeastRate = 0.001;
constexpr double kMostStretch = 10'000;  // of a trace's times, and the inverse
constexpr std::uint64_t kMostPages = 10'000'000;
constexpr std::uint32_t kPageTokens = 64;

std::vector<Option> rows() {
  using enum OptionType;
  return {
      // Traffic
      {"trace", text, "", kEveryRole, "Mooncake's JSON lines, in place of the five below."},
      {"rate", real, "0", kEveryRole, "Requests a second; 0: 1, or as the trace was recorded.", "", "0",
       "100000"},
      {"prompt_tokens", integer, "1024", kEveryRole, "Mean length of a prompt.", "tokens", "1", "1000000"},
      {"answer_tokens", integer, "200", kEveryRole, "Mean length of an answer.", "tokens", "1", "1000000"},
      {"shared", real, "0", kEveryRole, "Part of a mean prompt that it begins with as others do.", "", "0",
       "1"},
      {"span", duration, "5min", kEveryRole, "Time the traffic goes on.", "", "1s", "168h"},
      {"scale", real, "1", kEveryRole, "Of a trace's lengths and blocks.", "", "0.001953125", "1"},
      // A worker
      {"model", text, "", kEveryRole, "Known name or GGUF file: says how large a KV page is."},
      {"models", text, "", kEveryRole, "Folder of the models cache."},
      {"kv_codec", choice, "f16", kEveryRole, "How its KV pages hold numbers.", "", "", "", {"f16", "int8"}},
      {"token_bytes", bytes, "0", kEveryRole, "KV bytes of one token over all layers, in place of a model.",
       "", "0", "1GiB"},
      {"kv_bytes", bytes, "0", kEveryRole, "A worker's KV pool; needs model or token_bytes. 0: --pages.", "",
       "0", "16TiB"},
      {"pages", integer, "7168", kEveryRole, "KV pages of 64 tokens on a worker.", "pages", "64", "10000000"},
      {"step", text, "8000,80,30,0.065", kEveryRole,
       "B,P,R,K or B,P,R,K,A: microseconds of a step, a prompt token, a decode row, a token of context, and "
       "of a prompt "
       "token attending to one before it. As troupe simulate."},
      {"from", text, "", kEveryRole,
       "http://host:port of a router's metrics port, or of a serve: the step as that router has learnt it, "
       "in place of --step."},
      {"chunk", integer, "512", kEveryRole, "Prompt tokens in one step.", "tokens", "1", "1000000"},
      // Objectives
      {"slo_first_token", duration, "5s", kEveryRole, "Time to the first token of a good request.", "", "1us",
       "24h"},
      {"slo_between", duration, "100ms", kEveryRole, "Mean time between its tokens.", "", "1us", "24h"},
      {"share", real, "0.99", kEveryRole, "Of all requests that must be good.", "", "0.001", "1"},
      {"workers_max", integer, "256", kEveryRole, "More are not tried.", "workers", "1", "1000"},
      {"policy", text, "predicted_ttft", kEveryRole, "The router's."},
      {"seed", integer, "1", kEveryRole, "Of the traffic.", "", "0"},
      {"json", text, "", kEveryRole,
       "File for what was tried and the answer; - is standard output instead of the table."},
  };
}

tl::unexpected<Error> wrong(const std::string& what) {
  return fail(Errc::config_invalid, what);
}

Expected<router::StepModel> read_step(const std::string& text) {
  const auto parts = parse_value(OptionType::text_list, text);
  std::vector<double> numbers;
  if (parts)
    for (const std::string& part : std::get<TextList>(*parts)) {
      const auto number = parse_value(OptionType::real, part);
      if (number && std::get<double>(*number) >= 0 && std::get<double>(*number) <= 1e9)
        numbers.push_back(std::get<double>(*number));
    }
  const std::size_t given = parts ? std::get<TextList>(*parts).size() : 0;
  if (numbers.size() != given || (given != 4 && given != 5) || numbers[0] + numbers[1] + numbers[2] <= 0)
    return wrong("--step: found \"" + text +
                 "\", expected four or five numbers B,P,R,K[,A] that take some time");
  return router::StepModel{numbers[0], numbers[1], numbers[2], numbers[3], given == 5 ? numbers[4] : 0};
}

Expected<void> read_traffic(const Config& config, CapacityPlan& plan) {
  const double rate = config.real("rate");
  if (rate > 0 && rate < kLeastRate) return wrong("--rate: expected 0, or at least one request in 1000 s");
  if (const std::string& file = config.text("trace"); !file.empty()) {
    auto trace = router::read_trace(file, config.real("scale"));
    if (!trace) return tl::unexpected<Error>(trace.error());
    plan.trace = std::move(*trace);
    const double span = std::chrono::duration<double>(plan.trace.requests.back().arrives).count();
    const double recorded = static_cast<double>(plan.trace.requests.size()) / std::max(span, 1e-3);
    plan.options.stretch = rate > 0 ? recorded / rate : 1;
    if (plan.options.stretch > kMostStretch || plan.options.stretch < 1 / kMostStretch)
      return wrong("--rate: more than " + std::to_string(static_cast<int>(kMostStretch)) +
                   " times slower or faster than the trace was recorded");
    return {};
  }
  router::TrafficOptions traffic;
  traffic.seed = static_cast<std::uint64_t>(config.integer("seed"));
  traffic.rate = rate > 0 ? rate : 1;
  traffic.span = config.duration("span");
  traffic.prompt_tokens = static_cast<std::uint32_t>(config.integer("prompt_tokens"));
  traffic.answer_tokens = static_cast<std::uint32_t>(config.integer("answer_tokens"));
  traffic.shared = config.real("shared");
  const double requests = traffic.rate * std::chrono::duration<double>(traffic.span).count();
  if (requests > kMostRequests) return wrong("--rate and --span make more than a million requests");
  plan.trace = router::traffic_trace(traffic);
  plan.options.stretch = 1;
  return {};
}

Expected<void> read_page(const Config& config, CapacityPlan& plan) {
  plan.page_bytes = config.bytes("token_bytes") * kPageTokens;
  const std::string& name = config.text("model");
  if (name.empty()) return {};
  if (plan.page_bytes != 0) return wrong("found --model and --token-bytes, expected one");
  const auto model = resolve_model(name, models_folder(config.text("models")));
  if (!model) return tl::unexpected<Error>(model.error());
  const auto facts = read_model_facts(
      model->path, config.text("kv_codec") == "int8" ? backend::DType::i8 : backend::DType::f16);
  if (!facts) return tl::unexpected<Error>(facts.error());
  plan.page_bytes = facts->page_bytes;
  plan.weight_bytes = facts->weight_bytes;
  return {};
}

Expected<void> read_worker(const Config& config, CapacityPlan& plan) {
  TROUPE_TRY(read_page(config, plan));
  router::WorkerSpec worker;
  const std::string& from = config.text("from");
  if (!from.empty() && config.provenance("step").origin != Origin::default_value)
    return wrong("found --from and --step, expected one");
  const auto step = from.empty() ? read_step(config.text("step")) : fetch_learnt_costs(from);
  if (!step) return tl::unexpected<Error>(step.error());
  worker.step = *step;
  worker.chunk_tokens = static_cast<std::uint32_t>(config.integer("chunk"));
  worker.pages = static_cast<std::uint32_t>(config.integer("pages"));
  if (const std::uint64_t pool = config.bytes("kv_bytes"); pool != 0) {
    if (plan.page_bytes == 0) return wrong("--kv-bytes: expected --model or --token-bytes with it");
    if (pool < plan.page_bytes)
      return wrong("--kv-bytes holds no page of " + std::to_string(plan.page_bytes) + " bytes");
    worker.pages = static_cast<std::uint32_t>(std::min(pool / plan.page_bytes, kMostPages));
  }
  plan.options.workers = {worker};
  return {};
}

Expected<void> read_policy(const Config& config, CapacityPlan& plan) {
  plan.options.policy = config.text("policy");
  std::string known;
  for (const auto& entry : router::builtin_router_policies()) {
    if (entry.name == plan.options.policy) return {};
    known.append(known.empty() ? "" : ", ").append(entry.name);
  }
  return wrong("--policy: \"" + plan.options.policy + "\" is not one of " + known);
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string gib(std::uint64_t bytes) {
  return format("%.2f GiB", static_cast<double>(bytes) / static_cast<double>(1ULL << 30));
}

std::string memory_lines(const CapacityPlan& plan, const CapacityTry& tried) {
  const std::uint32_t pages = plan.options.workers.front().pages;
  std::string out = "KV pages: at most " + std::to_string(tried.peak_pages) + " of " + std::to_string(pages) +
                    " in use on one worker; what is over holds the prefix cache\n";
  if (plan.page_bytes == 0) return out;
  out += "memory of a worker: " + gib(plan.page_bytes * tried.peak_pages) + " of KV pages at least, " +
         gib(plan.page_bytes * pages) + " for all " + std::to_string(pages);
  if (plan.weight_bytes != 0) out += ", and " + gib(plan.weight_bytes) + " of weights";
  return out + "\n";
}

}  // namespace

const Schema& plan_schema() {
  static const Schema kSchema(rows());
  return kSchema;
}

Expected<CapacityPlan> read_capacity_plan(Arguments arguments, const Io& io) {
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  auto config = Config::load(plan_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  if (!config->positionals().empty())
    return wrong("found " + config->positionals().front() + ", expected flags; see troupe plan --help");
  if (config->text("models").empty()) {  // the product's variables and file may name the cache
    ConfigSources product;
    product.environment = io.environment;
    const auto general = Config::load(product_schema(), product);
    if (!general) return tl::unexpected<Error>(general.error());
    TROUPE_TRY(config->set("models", general->text("models")));
  }
  CapacityPlan plan;
  TROUPE_TRY(read_traffic(*config, plan));
  TROUPE_TRY(read_worker(*config, plan));
  TROUPE_TRY(read_policy(*config, plan));
  plan.options.seed = static_cast<std::uint64_t>(config->integer("seed"));
  plan.goal.objectives = {config->duration("slo_first_token"), config->duration("slo_between")};
  plan.goal.share = config->real("share");
  plan.goal.most_workers = static_cast<std::size_t>(config->integer("workers_max"));
  plan.json = config->text("json");
  return plan;
}

std::string capacity_verdict(const CapacityPlan& plan, const CapacityAnswer& answer) {
  const std::string objectives = format("%.4g %% of the requests", 100 * plan.goal.share) +
                                 " with their first token within " +
                                 format_duration(plan.goal.objectives.first_token) + " and " +
                                 format_duration(plan.goal.objectives.between_tokens) + " between tokens";
  if (!answer.workers) {
    const auto best = std::ranges::max_element(answer.tries, {}, &CapacityTry::good_share);
    return "no number of workers up to " + std::to_string(plan.goal.most_workers) + " gives " + objectives +
           format("; the best gives %.2f %%", 100 * best->good_share) + " with " +
           std::to_string(best->workers) + "\n";
  }
  const auto found = std::ranges::find(answer.tries, *answer.workers, &CapacityTry::workers);
  return std::to_string(*answer.workers) + (*answer.workers == 1 ? " worker gives " : " workers give ") +
         objectives + format(" (%.2f %%)\n", 100 * found->good_share) + memory_lines(plan, *found);
}

}  // namespace troupe::cli
