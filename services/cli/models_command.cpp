#include <unistd.h>

#include <array>
#include <cstdio>
#include <ostream>

#include "common/config/config.hpp"
#include "common/config/edit_distance.hpp"
#include "common/config/model_catalog.hpp"
#include "common/config/options.hpp"
#include "common/gguf/gguf.hpp"
#include "common/safetensors/safetensors.hpp"
#include "services/cli/command.hpp"
#include "services/cli/model_pull.hpp"
#include "common/terminal/printable.hpp"
#include "common/terminal/table.hpp"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHelp =
    "usage: troupe models list [--verify]         known models, and which are in the cache\n"
    "       troupe models pull NAME...            fetch into the cache, checked by SHA-256\n"
    "       troupe models inspect NAME|FILE       metadata and tensors of a model file\n"
    "         [--no-tensors] [--width N]          N: characters shown of a value (80)\n\n"
    "  --models DIR  the cache (TROUPE_MODELS; otherwise troupe/models below XDG_CACHE_HOME or ~/.cache)\n";

std::string megabytes(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text.data();
}

/// "yes", "no", "wrong size", or after --verify "yes, verified" and "wrong hash".
std::string state_of(const KnownModel& model, const fs::path& folder, bool verify, Io& io) {
  std::error_code error;
  const auto size = fs::file_size(folder / model.file, error);
  if (error) return "no";
  if (size != model.bytes) return "wrong size";
  for (const KnownModel& file : model.beside)
    if (!fs::exists(folder / file.file, error)) return "no";
  if (!verify) return "yes";
  return verify_model(model, folder, io.err, ::isatty(STDERR_FILENO) == 1) ? "yes, verified" : "wrong hash";
}

int list(Arguments arguments, const fs::path& folder, Io& io) {
  const bool verify = take_switch(arguments, "--verify");
  if (!arguments.empty())
    return report({Errc::config_invalid, "found " + arguments.front() + ", expected --verify"}, io);
  Table table({"NAME", "SIZE", "IN CACHE", "LICENCE", "SHA-256", "SUMMARY"});
  bool good = true;
  for (const KnownModel& model : known_models()) {
    const std::string state = state_of(model, folder, verify, io);
    good = good && !state.starts_with("wrong");
    table.add({std::string(model.name), megabytes(model.bytes), state, std::string(model.licence),
               std::string(model.sha256), std::string(model.summary)});
  }
  io.out << table.text() << "cache: " << folder.string() << "\n";
  return good ? ok : bad_input;
}

Error unknown_model(const std::string& wanted) {
  std::vector<std::string> names;
  for (const KnownModel& model : known_models()) names.emplace_back(model.name);
  return {Errc::config_invalid,
          "unknown model " + wanted + did_you_mean(wanted, names) + " (troupe models list)"};
}

int pull(Arguments names, const fs::path& folder, Io& io) {
  if (names.empty()) return report({Errc::config_invalid, "pull: expected a model's name"}, io);
  for (const std::string& name : names)
    if (find_known_model(name) == nullptr) return report(unknown_model(name), io);
  const bool live = ::isatty(STDERR_FILENO) == 1;
  for (const std::string& name : names) {
    const KnownModel& model = *find_known_model(name);
    std::error_code error;
    const bool present =
        fs::exists(folder / model.file, error) && verify_model(model, folder, io.err, live).has_value();
    if (!present) {
      const auto path = pull_model(model, folder, io, live);
      if (!path) return report(path.error(), io);
    }
    io.out << (folder / model.file).string() << (present ? " (already there)" : "") << "\n";
  }
  return ok;
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (const std::uint64_t extent : shape)
    text.append(text.size() > 1 ? ", " : "").append(std::to_string(extent));
  return text + "]";
}

void print_file(const gguf::File& file, std::size_t width, bool tensors, std::ostream& out) {
  out << file.path().string() << ": " << file.file_bytes() << " bytes, " << file.tensors().size()
      << " tensors\n\n";
  Table keys({"KEY", "TYPE", "VALUE"});
  for (const auto& key : file.describe(width)) keys.add({printable(key.key), key.type, printable(key.value)});
  out << keys.text();
  if (!tensors) return;
  Table rows({"TENSOR", "TYPE", "SHAPE", "BYTES"});
  for (const gguf::Tensor& tensor : file.tensors()) {
    const auto* info = gguf::tensor_type_info(static_cast<std::uint32_t>(tensor.type));
    rows.add({printable(tensor.name), info != nullptr ? std::string(info->name) : "?", shape_text(tensor.shape),
              std::to_string(tensor.data.size())});
  }
  out << "\n" << rows.text();
}

int inspect_encoder(const fs::path& path, Io& io) {
  const auto file = safetensors::File::open(path);
  if (!file) return report(file.error(), io);
  Table rows({"TENSOR", "TYPE", "SHAPE", "BYTES"});
  for (const safetensors::Tensor& tensor : (*file)->tensors())
    rows.add({printable(tensor.name), printable(tensor.dtype), shape_text(tensor.shape), std::to_string(tensor.data.size())});
  io.out << path.string() << ": " << (*file)->tensors().size() << " tensors\n\n" << rows.text();
  return ok;
}

int inspect(Arguments arguments, const fs::path& folder, Io& io) {
  const bool tensors = !take_switch(arguments, "--no-tensors");
  const auto width_text = take_flag(arguments, "--width");
  if (!width_text) return report(width_text.error(), io);
  const auto width = parse_value(OptionType::integer, width_text->value_or("80"));
  if (!width) return report({Errc::config_invalid, "--width: " + width.error().detail}, io);
  const std::int64_t columns = std::get<std::int64_t>(*width);
  if (columns < 8 || columns > 100'000)
    return report({Errc::config_invalid, "--width: expected 8..100000"}, io);
  if (arguments.size() != 1) return report({Errc::config_invalid, "inspect: expected one model or file"}, io);
  const auto model = resolve_model(arguments.front(), folder);
  if (!model) return report(model.error(), io);
  if (holds_encoder(model->path)) return inspect_encoder(model->path, io);
  const auto file = gguf::File::open(model->path);
  if (!file) return report(file.error(), io);
  print_file(**file, static_cast<std::size_t>(columns), tensors, io.out);
  return ok;
}

/// The folder that `flag`, the environment or the file names.
Expected<fs::path> cache_folder(const std::optional<std::string>& flag, const Io& io) {
  ConfigSources sources;
  if (flag) sources.arguments = {"--models", *flag};
  sources.environment = io.environment;
  const auto config = Config::load(product_schema(), sources);
  if (!config) return tl::unexpected<Error>(config.error());
  return models_folder(config->text("models"));
}

using Act = int (*)(Arguments arguments, const fs::path& folder, Io& io);

}  // namespace

int models_command(Arguments arguments, Io& io) {
  const auto flag = take_flag(arguments, "--models");
  if (!flag) return report(flag.error(), io);
  const auto in_cache = [&flag](std::string_view name, Act act) -> Verb {
    return {name, [&flag, act](Arguments rest, Io& to) {
              const auto folder = cache_folder(*flag, to);
              return folder ? act(std::move(rest), *folder, to) : report(folder.error(), to);
            }};
  };
  return run_verb("models", kHelp,
                  {in_cache("list", list), in_cache("pull", pull), in_cache("inspect", inspect)},
                  std::move(arguments), io);
}

}  // namespace troupe::cli
