#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "common/speculation/drafter.hpp"
#include "common/template/chat_template.hpp"
#include "common/terminal/progress.hpp"
#include "common/terminal/table.hpp"
#include "common/tokenizer/tokenizer.hpp"
#include "services/bench/engine/speculation_bench.hpp"
#include "services/bench/engine/statistics.hpp"
#include "services/cli/bench_flags.hpp"

namespace troupe::cli {
namespace {

using bench::SpeculationReport;
using bench::SpeculationRow;

constexpr std::string_view kHelp =
    "usage: troupe bench speculation [flags]\n\n"
    "What drafts are worth, without HTTP: the same prompts with each drafter and without any, in turns, in "
    "one engine. RATIO is\n"
    "tokens a second over those of plain decoding beside it: the median of the repeats, and the least. "
    "Answers are compared.\n\n";
constexpr std::string_view kFlags =
    "  --drafters A,B,... auto, or names of `troupe techniques` (auto and every drafter)\n"
    "  --streams N,N,...  prompts answered together (1,8)\n"
    "  --answer N         tokens of an answer (128)\n"
    "  --draft FILE       a draft model of the same vocabulary, for draft-service; it runs in turns with the model\n"
    "  --max-draft N      guesses of one sequence in a step (8)\n"
    "  --repeats N        (3)\n"
    "  --json             JSON instead of the table\n";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    out.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

/// A user's turn as the model's own template has it; the text alone where it has none.
Expected<std::vector<TokenId>> prompt_of(const Tokenizer& tokenizer, const ChatTemplate* chat,
                                         std::string_view text) {
  if (chat == nullptr) return tokenizer.encode(text, SpecialTokens::as_text, true);
  nlohmann::ordered_json context;
  context["messages"] = nlohmann::ordered_json::array({{{"role", "user"}, {"content", std::string(text)}}});
  context["add_generation_prompt"] = true;
  context["bos_token"] = tokenizer.bos() < 0 ? "" : std::string(tokenizer.token_text(tokenizer.bos()));
  context["eos_token"] = tokenizer.eos() < 0 ? "" : std::string(tokenizer.token_text(tokenizer.eos()));
  const auto rendered = chat->render(context);
  TROUPE_TRY(rendered);
  return tokenizer.encode(*rendered, SpecialTokens::parse, false);
}

Expected<std::vector<bench::DraftWorkload>> workloads_of(const Model& model) {
  const auto tokenizer = Tokenizer::from_gguf(model.file());
  TROUPE_TRY(tokenizer);
  std::shared_ptr<const ChatTemplate> chat;
  if (!(*tokenizer)->chat_template().empty()) {
    auto parsed = ChatTemplate::parse((*tokenizer)->chat_template());
    TROUPE_TRY(parsed);
    chat = std::move(*parsed);
  }
  std::vector<bench::DraftWorkload> workloads;
  for (const bench::DraftTexts& texts : bench::draft_texts()) {
    const auto ends = (*tokenizer)->end_tokens();
    bench::DraftWorkload workload{std::string(texts.name), {}, texts.temperature, {ends.begin(), ends.end()}};
    for (const std::string_view text : texts.texts) {
      auto prompt = prompt_of(**tokenizer, chat.get(), text);
      TROUPE_TRY(prompt);
      workload.prompts.push_back(std::move(*prompt));
    }
    workloads.push_back(std::move(workload));
  }
  return workloads;
}

nlohmann::json to_json(const SpeculationReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const SpeculationRow& row : report.rows) {
    rows.push_back({{"workload", row.workload},
                    {"drafter", row.drafter},
                    {"streams", row.streams},
                    {"ratios", row.ratios},
                    {"plain_tokens_per_second", row.plain_rate},
                    {"tokens_per_step", row.tokens_per_step},
                    {"accepted_share", row.accepted_share},
                    {"equal", row.equal}});
  }
  return {{"model", report.model}, {"device", report.device}, {"rows", std::move(rows)}};
}

void print(const SpeculationReport& report, std::ostream& out) {
  out << report.model << ", " << report.device << "\n\n";
  Table table({"WORKLOAD", "STREAMS", "DRAFTER", "RATIO", "LEAST", "TOKENS/STEP", "ACCEPTED", "PLAIN TOK/S",
               "ANSWERS"});
  for (const SpeculationRow& row : report.rows)
    table.add({row.workload, std::to_string(row.streams), row.drafter, decimal(bench::median(row.ratios), 2),
               decimal(*std::min_element(row.ratios.begin(), row.ratios.end()), 2),
               decimal(row.tokens_per_step, 2), percent_text(row.accepted_share), decimal(row.plain_rate, 1),
               row.equal ? "equal" : "DIFFERENT"});
  out << table.text();
}

Expected<bench::SpeculationBenchOptions> take_options(Arguments& arguments) {
  bench::SpeculationBenchOptions options;
  const auto draft = take_flag(arguments, "--draft");
  TROUPE_TRY(draft);
  if (*draft) {
    auto model = Model::load(**draft);
    TROUPE_TRY(model);
    options.draft_model = std::move(*model);
  }
  auto drafters = take_flag(arguments, "--drafters");
  if (!drafters) return tl::unexpected<Error>(drafters.error());
  if (*drafters) {
    options.drafters = split(**drafters);
  } else {
    for (const speculation::DrafterEntry& entry : speculation::builtin_drafters())
      if (!entry.wants_source || options.draft_model) options.drafters.emplace_back(entry.name);
  }
  struct Number {
    const char* flag;
    std::uint32_t* value;
    std::uint32_t low, high;
  };
  for (const Number& number :
       {Number{"--answer", &options.answer_tokens, 2, 1u << 16},
        Number{"--max-draft", &options.most_draft, 1, 64}, Number{"--repeats", &options.repeats, 1, 1000}}) {
    const auto value = take_number(arguments, number.flag, *number.value, number.low, number.high);
    if (!value) return tl::unexpected<Error>(value.error());
    *number.value = *value;
  }
  auto streams = take_numbers(arguments, "--streams", options.streams, 1, 256);
  if (!streams) return tl::unexpected<Error>(streams.error());
  options.streams = std::move(*streams);
  return options;
}

}  // namespace

int bench_speculation_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << kBenchModelHelp << kFlags;
    return ok;
  }
  const bool json = take_switch(arguments, "--json");
  auto options = take_options(arguments);
  if (!options) return report(options.error(), io);
  const auto model = take_bench_model(arguments, io);
  if (!model) return report(model.error(), io);
  if (!arguments.empty())
    return report({Errc::config_invalid, "bench speculation: unexpected " + arguments.front()}, io);
  options->cpu = model->cpu;
  const auto workloads = workloads_of(*model->model);
  if (!workloads) return report(workloads.error(), io);
  Progress progress(io.err, "measuring " + model->name, 1000, ::isatty(STDERR_FILENO) == 1);
  const auto result = bench::run_speculation_bench(model->model, *workloads, *options, [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 1000));
  });
  progress.finish();
  if (!result) return report(result.error(), io);
  if (json)
    io.out << to_json(*result).dump(2) << "\n";
  else
    print(*result, io.out);
  // An answer that a draft changed is a fault, not a figure.
  for (const SpeculationRow& row : result->rows)
    if (!row.equal)
      return report({Errc::internal, "drafts of " + row.drafter + " changed answers of " + row.workload}, io);
  return ok;
}

}  // namespace troupe::cli
