#pragma once
// Flags that every in-process bench takes: the model and the CPU backend it runs on.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/model/model.hpp"
#include "services/cli/command.hpp"

namespace troupe::cli {

inline constexpr std::string_view kBenchModelHelp =
    "  --model NAME|FILE  (smollm2-135m-instruct)\n"
    "  --models DIR       the model cache (TROUPE_MODELS; otherwise troupe/models below XDG_CACHE_HOME or ~/.cache)\n"
    "  --threads N        (the cores this process may use)\n"
    "  --kv-codec WHICH   f16, or int8: lossy KV pages (f16)\n"
    "  --pin WHICH        auto: threads keep CPUs of their own where they are free; off (auto)\n"
    "  --isa NAME         scalar, avx2, avx-vnni, avx512 or amx (the best the machine has)\n";

/// Removes `flag N`; `otherwise` when absent. Errors: config_invalid outside low..high.
[[nodiscard]] Expected<std::uint32_t> take_number(Arguments& arguments, std::string_view flag, std::uint32_t otherwise,
                                                  std::uint32_t low, std::uint32_t high);
/// Removes `flag N,N,...`. Errors: config_invalid.
[[nodiscard]] Expected<std::vector<std::uint32_t>> take_numbers(Arguments& arguments, std::string_view flag,
                                                                std::vector<std::uint32_t> otherwise, std::uint32_t low,
                                                                std::uint32_t high);

struct BenchModel {
  std::string name;
  std::shared_ptr<const Model> model;
  backend::CpuOptions cpu;
};

/// Removes the flags of kBenchModelHelp and loads the model. Errors: config_invalid, those of resolve_model and Model::load.
[[nodiscard]] Expected<BenchModel> take_bench_model(Arguments& arguments, const Io& io);

/// "1.23"
[[nodiscard]] std::string decimal(double value, int digits);
/// "87 %"
[[nodiscard]] std::string percent_text(double share);

}  // namespace troupe::cli
