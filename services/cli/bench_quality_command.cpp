#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "common/tokenizer/tokenizer.hpp"
#include "services/bench/engine/quality.hpp"
#include "services/bench/engine/statistics.hpp"
#include "services/cli/bench_flags.hpp"
#include "common/terminal/progress.hpp"
#include "common/terminal/table.hpp"

namespace troupe::cli {
namespace {

using bench::Divergence;
using bench::QualityReport;
using bench::TokenSequences;

constexpr std::uintmax_t kMostText = std::uintmax_t{64} << 20;
constexpr std::string_view kHelp =
    "usage: troupe bench quality [flags]\n\n"
    "Perplexity of the fast path, and its mean Kullback-Leibler divergence from the float32 reference path over the whole\n"
    "vocabulary, on the same tokens; with --peer-logits the same of another engine; with --kv-codec int8 also of the fast path\n"
    "on int8 KV pages, and what the pages alone do: its divergence from the fast path.\n\n";
constexpr std::string_view kFlags =
    "  --text FILE        text to predict (an excerpt of prose, lists and code)\n"
    "  --token-file FILE  token ids instead of text: one sequence a line\n"
    "  --context N        tokens of a sequence; longer texts are cut (512)\n"
    "  --tokens N         of the text at most (2048)\n"
    "  --write-tokens FILE  write the sequences and measure nothing\n"
    "  --peer-logits FILE   logits of the same sequences: \"TROUPELG\", u32 vocabulary, u32 rows, float32 rows\n"
    "  --json             JSON instead of the table\n";

Expected<std::string> read_text(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::file_not_found, path + ": " + error.message());
  if (bytes > kMostText) return fail(Errc::invalid_argument, path + ": expected at most 64 MiB of text, found " + std::to_string(bytes));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Wanted {
  std::optional<std::string> text, token_file, write_tokens, peer_logits;
  std::uint32_t context = 512, tokens = 2048;
  bool json = false;
};

Expected<Wanted> take_wanted(Arguments& arguments) {
  Wanted wanted;
  wanted.json = take_switch(arguments, "--json");
  struct Text {
    const char* flag;
    std::optional<std::string>* value;
  };
  for (const Text& text : {Text{"--text", &wanted.text}, Text{"--token-file", &wanted.token_file},
                           Text{"--write-tokens", &wanted.write_tokens}, Text{"--peer-logits", &wanted.peer_logits}}) {
    auto value = take_flag(arguments, text.flag);
    if (!value) return tl::unexpected<Error>(value.error());
    *text.value = std::move(*value);
  }
  const auto context = take_number(arguments, "--context", wanted.context, 3, 1u << 20);
  const auto tokens = take_number(arguments, "--tokens", wanted.tokens, 2, 1u << 24);
  for (const auto* number : {&context, &tokens})
    if (!*number) return tl::unexpected<Error>(number->error());
  if (wanted.text && wanted.token_file) return fail(Errc::config_invalid, "expected one of --text and --token-file, found both");
  wanted.context = *context;
  wanted.tokens = *tokens;
  return wanted;
}

Expected<TokenSequences> sequences_of(const Wanted& wanted, const Model& model) {
  if (wanted.token_file) return bench::read_sequences(*wanted.token_file, model.config().vocab);
  std::string text(bench::default_quality_text());
  if (wanted.text) {
    auto read = read_text(*wanted.text);
    TROUPE_TRY(read);
    text = std::move(*read);
  }
  const auto tokenizer = Tokenizer::from_gguf(model.file());
  TROUPE_TRY(tokenizer);
  const auto tokens = (*tokenizer)->encode(text, SpecialTokens::as_text, false);
  TROUPE_TRY(tokens);
  // Only a model that was trained to see a begin token gets one.
  const auto begun = (*tokenizer)->encode("a", SpecialTokens::as_text, true);
  TROUPE_TRY(begun);
  const bool wants_bos = !begun->empty() && begun->front() == (*tokenizer)->bos();
  const std::size_t count = std::min<std::size_t>(tokens->size(), wanted.tokens);
  return bench::cut_sequences(std::span(*tokens).first(count), wanted.context, wants_bos ? (*tokenizer)->bos() : -1);
}

double largest(const Divergence& d) { return d.kl.empty() ? 0 : *std::max_element(d.kl.begin(), d.kl.end()); }

std::string signed_percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%+.3f %%", share * 100);
  return text.data();
}

nlohmann::json to_json(const Divergence& d) {
  return {{"name", d.name},        {"perplexity", d.perplexity()}, {"mean_kl", d.mean_kl()},
          {"median_kl", bench::median(d.kl)}, {"max_kl", largest(d)},         {"same_top", d.same_top},
          {"positions", d.kl.size()}};
}

void print(const QualityReport& report, std::ostream& out) {
  out << report.model << " on " << report.device << ": " << report.positions << " tokens in " << report.sequences
      << " sequences\n\n";
  Table table({"PATH", "PERPLEXITY", "OF REFERENCE", "MEAN KL", "MEDIAN KL", "LARGEST KL", "SAME TOP TOKEN"});
  const double base = report.reference.perplexity();
  const auto add = [&](const Divergence& d) {
    const double change = base > 0 ? d.perplexity() / base - 1 : 0;
    table.add({d.name, decimal(d.perplexity(), 3), signed_percent(change), decimal(d.mean_kl(), 6),
               decimal(bench::median(d.kl), 6), decimal(largest(d), 4),
               std::to_string(d.same_top) + " of " + std::to_string(d.kl.size())});
  };
  add(report.reference);
  add(report.fast);
  for (const auto* lossy : {&report.codec, &report.codec_alone})
    if (*lossy) add(**lossy);
  for (const Divergence& other : report.others) add(other);
  out << table.text();
}

}  // namespace

int bench_quality_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp << kBenchModelHelp << kFlags;
    return ok;
  }
  const auto wanted = take_wanted(arguments);
  if (!wanted) return report(wanted.error(), io);
  const auto model = take_bench_model(arguments, io);
  if (!model) return report(model.error(), io);
  if (!arguments.empty()) return report({Errc::config_invalid, "bench quality: unexpected " + arguments.front()}, io);
  const auto sequences = sequences_of(*wanted, *model->model);
  if (!sequences) return report(sequences.error(), io);
  if (wanted->write_tokens) {
    const auto written = bench::write_sequences(*wanted->write_tokens, *sequences);
    return written ? ok : report(written.error(), io);
  }
  std::vector<bench::LogitsFile> others;
  if (wanted->peer_logits) others.push_back({"peer", *wanted->peer_logits});
  Progress progress(io.err, "comparing paths of " + model->name, 1000, ::isatty(STDERR_FILENO) == 1);
  const auto result = bench::run_quality(model->model, model->cpu, *sequences, others, [&](double part) {
    progress.update(static_cast<std::uint64_t>(part * 1000));
  });
  progress.finish();
  if (!result) return report(result.error(), io);
  if (!wanted->json) {
    print(*result, io.out);
    return ok;
  }
  nlohmann::json paths = {to_json(result->reference), to_json(result->fast)};
  for (const auto* lossy : {&result->codec, &result->codec_alone})
    if (*lossy) paths.push_back(to_json(**lossy));
  for (const Divergence& other : result->others) paths.push_back(to_json(other));
  io.out << nlohmann::json{{"model", result->model}, {"device", result->device}, {"tokens", result->positions},
                           {"sequences", result->sequences}, {"paths", std::move(paths)}}
                .dump(2)
         << "\n";
  return ok;
}

}  // namespace troupe::cli
