#include "services/cli/bench_settings.hpp"

#include "common/config/config.hpp"
#include "common/http/client.hpp"

namespace troupe::cli {

const Schema& bench_schema() {
  using enum OptionType;
  static const Schema kSchema({
      {"url", text, "http://127.0.0.1:8080/v1", kEveryRole, "Base URL of an OpenAI endpoint."},
      {"vs", text, "", kEveryRole, "A second endpoint: blocks alternate between both, ratios are printed."},
      {"model", text, "", kEveryRole, "Model name; empty takes the first the endpoint lists."},
      {"vs_model", text, "", kEveryRole, "The second endpoint's model; empty takes the first it lists."},
      {"workload", text, "chat", kEveryRole,
       "chat, shared-prefix, long-prompt, decode-heavy, copy-edit, code, documents, batch-file or trace."},
      {"file", text, "", kEveryRole, "What batch-file and trace read."},
      {"seed", integer, "1", kEveryRole, "Same seed, same requests and arrivals.", "", "0"},
      {"requests", integer, "64", kEveryRole, "How many, or with --vs how many a block; 0: until --duration.",
       "", "0"},
      {"duration", duration, "0s", kEveryRole, "No request starts after it; 0s: no bound."},
      {"concurrency", integer, "8", kEveryRole, "Requests open at a time (closed loop).", "requests", "1",
       "4096"},
      {"rate", real, "0", kEveryRole,
       "Poisson arrivals a second (open loop); 0: closed loop, or a trace's own.", "requests/s", "0",
       "100000"},
      {"speed", real, "0", kEveryRole, "Replays a trace's arrivals so many times as fast; 0: closed loop.",
       "", "0"},
      {"max_streams", integer, "512", kEveryRole, "Most requests open at a time in an open loop.", "requests",
       "1", "8192"},
      {"max_tokens", integer, "0", kEveryRole, "Longest answer; 0: the workload's own.", "tokens", "0",
       "1048576"},
      {"prompt_tokens", integer, "0", kEveryRole, "Length of prompts or documents; 0: the workload's own.",
       "tokens", "0", "1048576"},
      {"prefix_tokens", integer, "0", kEveryRole, "Of shared-prefix; 0: 1024.", "tokens", "0", "1048576"},
      {"tail_tokens", integer, "0", kEveryRole, "Of shared-prefix; 0: 64.", "tokens", "0", "1048576"},
      {"groups", integer, "0", kEveryRole, "Different prefixes (0: 1) or documents (0: 8).", "", "0",
       "65536"},
      {"scale", real, "1", kEveryRole, "Multiplies a trace's lengths.", "", "0.0001", "1000"},
      {"answer-scale", real, "0", kEveryRole, "Multiplies the lengths of a trace's answers; 0: as --scale.",
       "", "0", "1000"},
      {"ignore_eos", boolean, "false", kEveryRole,
       "Answers of exactly the longest length, where the server can."},
      {"completions", boolean, "false", kEveryRole, "Use /completions instead of /chat/completions."},
      {"temperature", real, "0", kEveryRole, "Sampling temperature; -1 leaves it to the server.", "", "-1",
       "2"},
      {"slo_ttft", real, "0", kEveryRole, "Objective: time to first token; 0: none.", "ms", "0"},
      {"slo_itl", real, "0", kEveryRole,
       "Objective: 99th percentile of a request's gaps between tokens; 0: none.", "ms", "0"},
      {"timeout", duration, "10min", kEveryRole, "Longest a request may take.", "", "1ms"},
      {"warmup", integer, "2", kEveryRole, "Requests before the measurement, not reported.", "requests", "0",
       "65536"},
      {"repeats", integer, "6", kEveryRole, "Pairs of blocks of a comparison.", "pairs", "1", "10000"},
      {"server_pid", integer, "0", kEveryRole,
       "The driven server's process, not counted as foreign CPU; 0: whoever listens on the URL's port here.",
       "", "0"},
      {"cacert", text, "", kEveryRole,
       "PEM file of the authorities to believe of https URLs; empty: the system's."},
      {"json", text, "", kEveryRole, "Writes everything measured to this file."},
      {"svg", text, "", kEveryRole, "Draws the distributions into this file."},
  });
  return kSchema;
}

namespace {

Expected<load::Endpoint> endpoint(const Config& config, const std::string& url, const std::string& model,
                                  const Io& io) {
  auto parsed = parse_any_url(url);
  if (!parsed) return tl::unexpected<Error>(std::move(parsed.error()));
  auto trust = trust_for(*parsed, config.text("cacert"));
  if (!trust) return tl::unexpected<Error>(std::move(trust.error()));
  load::Endpoint out;
  out.url = std::move(*parsed);
  out.trust = std::move(*trust);
  out.settings.model = model;
  for (const auto& [key, value] : io.environment)
    if (key == "OPENAI_API_KEY") out.settings.api_key = value;
  out.settings.ignore_eos = config.boolean("ignore_eos");
  out.settings.completions = config.boolean("completions");
  if (config.real("temperature") >= 0) out.settings.temperature = config.real("temperature");
  out.limits.answer = config.duration("timeout");
  return out;
}

load::WorkloadOptions workload_options(const Config& config) {
  const auto tokens = [&](std::string_view name) { return static_cast<std::uint32_t>(config.integer(name)); };
  load::WorkloadOptions out;
  out.seed = static_cast<std::uint64_t>(config.integer("seed"));
  out.prompt_tokens = tokens("prompt_tokens");
  out.max_tokens = tokens("max_tokens");
  out.prefix_tokens = tokens("prefix_tokens");
  out.tail_tokens = tokens("tail_tokens");
  out.groups = tokens("groups");
  out.file = config.text("file");
  out.scale = config.real("scale");
  out.answer_scale = config.real("answer-scale");
  return out;
}

}  // namespace

Expected<BenchSettings> bench_settings(Arguments arguments, const Io& io) {
  ConfigSources sources;
  sources.arguments = std::move(arguments);
  const auto config = Config::load(bench_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  if (!config->positionals().empty())
    return fail(Errc::config_invalid, "found " + config->positionals().front() + ", expected flags");
  BenchSettings out;
  auto first = endpoint(*config, config->text("url"), config->text("model"), io);
  if (!first) return tl::unexpected<Error>(std::move(first.error()));
  out.endpoint = std::move(*first);
  if (const std::string& url = config->text("vs"); !url.empty()) {
    auto second = endpoint(*config, url, config->text("vs_model"), io);
    if (!second) return tl::unexpected<Error>(std::move(second.error()));
    out.versus = std::move(*second);
  }
  out.workload_name = config->text("workload");
  out.workload = workload_options(*config);
  if (config->real("slo_ttft") > 0) out.objective.first_token_ms = config->real("slo_ttft");
  if (config->real("slo_itl") > 0) out.objective.gap_ms = config->real("slo_itl");
  const auto count = [&](std::string_view name) { return static_cast<std::uint64_t>(config->integer(name)); };
  out.requests = count("requests");
  out.duration = config->duration("duration");
  if (out.requests == 0 && out.duration <= Duration{})
    return fail(Errc::config_invalid, "without --requests, expected a --duration");
  if (out.versus && out.requests == 0)
    return fail(Errc::config_invalid, "--vs: expected --requests, the length of a block");
  out.rate = config->real("rate");
  out.speed = config->real("speed");
  out.open_loop = out.rate > 0 || out.speed > 0;
  out.concurrency = count(out.open_loop ? "max_streams" : "concurrency");
  out.warmup = count("warmup");
  out.repeats = count("repeats");
  out.server_pid = static_cast<int>(config->integer("server_pid"));
  out.json_file = config->text("json");
  out.svg_file = config->text("svg");
  return out;
}

}  // namespace troupe::cli
