#include "services/cli/bench_flags.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "common/config/config.hpp"
#include "common/config/host.hpp"
#include "common/config/model_catalog.hpp"
#include "common/config/options.hpp"

namespace troupe::cli {
namespace {

constexpr std::string_view kDefaultModel = "smollm2-135m-instruct";
constexpr std::uint32_t kMostThreads = 1024;

Expected<std::uint32_t> parse_number(std::string_view flag, std::string_view text, std::uint32_t low, std::uint32_t high) {
  std::uint32_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size() && value >= low && value <= high) return value;
  return fail(Errc::config_invalid, std::string(flag) + ": expected " + std::to_string(low) + ".." + std::to_string(high) +
                                        ", found " + std::string(text));
}

Expected<backend::Isa> parse_isa(const std::string& text) {
  if (const auto isa = backend::isa_named(text)) return *isa;
  return fail(Errc::config_invalid, "--isa: expected auto, scalar, avx2, avx-vnni, avx512 or amx, found " + text);
}

}  // namespace

Expected<std::uint32_t> take_number(Arguments& arguments, std::string_view flag, std::uint32_t otherwise, std::uint32_t low,
                                    std::uint32_t high) {
  const auto text = take_flag(arguments, flag);
  if (!text) return tl::unexpected<Error>(text.error());
  return *text ? parse_number(flag, **text, low, high) : otherwise;
}

Expected<std::vector<std::uint32_t>> take_numbers(Arguments& arguments, std::string_view flag,
                                                  std::vector<std::uint32_t> otherwise, std::uint32_t low,
                                                  std::uint32_t high) {
  const auto text = take_flag(arguments, flag);
  if (!text) return tl::unexpected<Error>(text.error());
  if (!*text) return otherwise;
  std::vector<std::uint32_t> numbers;
  for (std::string_view rest = **text; !rest.empty() || numbers.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto number = parse_number(flag, rest.substr(0, comma), low, high);
    if (!number) return tl::unexpected<Error>(number.error());
    numbers.push_back(*number);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return numbers;
}

Expected<BenchModel> take_bench_model(Arguments& arguments, const Io& io) {
  const auto model_flag = take_flag(arguments, "--model"), folder = take_flag(arguments, "--models"),
             isa_flag = take_flag(arguments, "--isa"), pin = take_flag(arguments, "--pin"),
             codec = take_flag(arguments, "--kv-codec");
  for (const auto* flag : {&model_flag, &folder, &isa_flag, &pin, &codec})
    if (!*flag) return tl::unexpected<Error>(flag->error());
  const auto threads = take_number(arguments, "--threads", usable_cores(), 1, kMostThreads);
  if (!threads) return tl::unexpected<Error>(threads.error());
  const auto isa = parse_isa(isa_flag->value_or("auto"));
  if (!isa) return tl::unexpected<Error>(isa.error());
  if (const std::string which = pin->value_or("auto"); which != "auto" && which != "off")
    return fail(Errc::config_invalid, "--pin: expected auto or off, found " + which);
  if (const std::string which = codec->value_or("f16"); which != "f16" && which != "int8")
    return fail(Errc::config_invalid, "--kv-codec: expected f16 or int8, found " + which);
  ConfigSources sources;  // the environment may name the cache
  if (*folder) sources.arguments = {"--models", **folder};
  sources.environment = io.environment;
  const auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  const auto resolved = resolve_model(model_flag->value_or(std::string(kDefaultModel)), models_folder(config->text("models")));
  if (!resolved) return tl::unexpected<Error>(resolved.error());
  auto model = Model::load(resolved->path);
  if (!model) return tl::unexpected<Error>(model.error());
  BenchModel bench{resolved->name, std::move(*model), {}};
  bench.cpu.threads = *threads;
  bench.cpu.isa = *isa;
  if (codec->value_or("f16") == "int8") bench.cpu.kv_codec = backend::KvCodec::int8;
  bench.cpu.pin_threads = pin->value_or("auto") == "auto";
  return bench;
}

std::string decimal(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string percent_text(double share) { return decimal(share * 100, share < 0.1 ? 1 : 0) + " %"; }

}  // namespace troupe::cli
