#pragma once
// What drafts are worth: the same prompts with and without, in turns, in one engine. Answers are compared: a
// draft must not change a byte.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/base/error.hpp"
#include "common/model/model.hpp"

namespace troupe::bench {

/// Prompts of one kind.
struct DraftWorkload {
  std::string name;
  std::vector<std::vector<TokenId>> prompts;
  float temperature = 0;
  std::vector<TokenId> stop_tokens;  ///< that end an answer early
};

/// The same as text, for a user's turn of a chat.
struct DraftTexts {
  std::string_view name;
  float temperature = 0;
  std::vector<std::string_view> texts;
};
/// Copy with edits, code, JSON, chat, and prose at temperature 1.
[[nodiscard]] const std::vector<DraftTexts>& draft_texts();

struct SpeculationBenchOptions {
  backend::CpuOptions cpu;
  std::vector<std::string> drafters{"auto"};  ///< names a request may give
  std::vector<std::uint32_t> streams{
      1, 8};  ///< prompts answered together; a workload's prompts come round again
  std::uint32_t answer_tokens = 128;
  std::uint32_t most_draft = 8;
  std::uint32_t repeats = 3;
  bool always = false;  ///< verify whatever is proposed, at any cost
  std::shared_ptr<const Model> draft_model = nullptr;  ///< of the same vocabulary, run in turns with the target; null: none
};

struct SpeculationRow {
  std::string workload, drafter;
  std::uint32_t streams = 1;
  std::vector<double> ratios;  ///< tokens a second over those of plain decoding beside it, one a repeat
  double plain_rate = 0;       ///< median tokens a second of plain decoding
  double tokens_per_step = 0;  ///< of one stream, over all repeats
  double accepted_share = 0;   ///< of the drafted rows
  bool equal = true;           ///< every answer had plain decoding's tokens
};

struct SpeculationReport {
  std::string model, device;
  std::vector<SpeculationRow> rows;
};

/// Time counts from the moment every stream has its first token. `progress` gets 0..1.
/// Errors: those of Engine::create; invalid_argument for an unknown drafter or a prompt that does not fit.
[[nodiscard]] Expected<SpeculationReport> run_speculation_bench(std::shared_ptr<const Model> model,
                                                                std::span<const DraftWorkload> workloads,
                                                                const SpeculationBenchOptions& options,
                                                                const std::function<void(double)>& progress);

}  // namespace troupe::bench
