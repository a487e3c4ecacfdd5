#pragma once
// What speed costs in accuracy: perplexity of the fast path and its mean Kullback-Leibler divergence from the float32
// reference path, on the same tokens. Both paths run in this process. Another engine's logits of the same tokens can stand
// beside them.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/base/error.hpp"
#include "common/model/model.hpp"

namespace troupe::bench {

using TokenSequences = std::vector<std::vector<TokenId>>;

/// How far one engine's predictions are from the reference's, over all positions.
struct Divergence {
  std::string name;
  std::vector<double> kl;      ///< KL(reference || this), natural logarithm, of the whole vocabulary, a position each
  std::size_t same_top = 0;    ///< positions whose most probable token is the reference's
  double log_loss = 0;         ///< sum of -ln p(next token)
  std::size_t predicted = 0;   ///< positions that have a next token

  [[nodiscard]] double mean_kl() const;
  [[nodiscard]] double perplexity() const;
};

struct QualityReport {
  std::string model, device;
  std::size_t positions = 0, sequences = 0;
  Divergence reference, fast;
  std::optional<Divergence> codec;       ///< the fast path on lossy KV pages, where those were asked for
  std::optional<Divergence> codec_alone; ///< the same, its distance taken from `fast` instead of the reference
  std::vector<Divergence> others;  ///< of --peer-logits
};

/// Rows of logits that another engine wrote for the same sequences: "TROUPELG", u32 vocabulary, u32 rows, float32 rows.
struct LogitsFile {
  std::string name;
  std::filesystem::path path;
};

/// Adds one position: `reference` and `own` are logits; `next` < 0 when nothing follows.
void add_position(Divergence& divergence, std::span<const float> reference, std::span<const float> own, TokenId next);

/// Cuts `tokens` into sequences of at most `context`; each starts with `bos` when that is one (>= 0).
[[nodiscard]] TokenSequences cut_sequences(std::span<const TokenId> tokens, std::size_t context, TokenId bos);
/// One sequence a line, ids separated by spaces. Errors: file_malformed for an id outside the vocabulary, io_failed.
[[nodiscard]] Expected<TokenSequences> read_sequences(const std::filesystem::path& path, std::size_t vocab);
[[nodiscard]] Expected<void> write_sequences(const std::filesystem::path& path, const TokenSequences& sequences);

/// The fast path keeps f16 pages; with KvCodec::int8 in `cpu` it is measured once more on int8 pages. `progress` gets 0..1.
/// Errors: those of ModelRunner::create; invalid_argument (no tokens, one too long); file_malformed (a logits file of another
/// shape).
[[nodiscard]] Expected<QualityReport> run_quality(std::shared_ptr<const Model> model, const backend::CpuOptions& cpu,
                                                  const TokenSequences& sequences, const std::vector<LogitsFile>& others,
                                                  const std::function<void(double)>& progress);

/// English prose, a list, dialogue and code, some 600 tokens.
[[nodiscard]] std::string_view default_quality_text();

}  // namespace troupe::bench
