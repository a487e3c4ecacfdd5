#pragma once
// The engines of a process: model files to packed weights and page pools, within the memory there is.
#include <ostream>
#include <vector>

#include "common/config/config.hpp"
#include "common/draft/draft_link.hpp"
#include "common/worker/worker.hpp"

namespace troupe::cli {

/// Loads every model of option `model`; shows progress on `out`. With `drafts` each engine has a desk there.
/// Errors: those of resolve_models and Model::load; does_not_fit (says both numbers); invalid_argument
/// (engine.isa).
[[nodiscard]] Expected<std::vector<worker::EngineSetup>> load_engines(const Config& config,
                                                                      std::ostream& out,
                                                                      draft::DraftLink* drafts = nullptr);

/// The CPU backend as options say. Errors: invalid_argument (engine.isa).
[[nodiscard]] Expected<std::shared_ptr<backend::Backend>> make_backend(const Config& config);

/// Bytes for one engine's pages: `configured`, or for 0 a quarter of what is free, shared by `engines`.
/// Errors: does_not_fit when more is configured than is free.
[[nodiscard]] Expected<std::uint64_t> kv_pool_bytes(std::uint64_t configured, std::uint64_t free_bytes,
                                                    std::size_t engines);

}  // namespace troupe::cli
