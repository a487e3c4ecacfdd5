#include "services/bench/engine/quality.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "common/engine/model_runner.hpp"

namespace troupe::bench {
namespace {

using engine::ModelRunner;
using engine::StepBatch;

constexpr std::uint32_t kRows = 64;  ///< of a pass: bounds the logits that are kept, whatever the vocabulary

double log_sum_exp(std::span<const float> logits) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - peak);
  return peak + std::log(sum);
}

std::ptrdiff_t best_of(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

/// Another engine's rows, read as they are needed.
class LogitsReader {
 public:
  static Expected<LogitsReader> open(const LogitsFile& file, std::uint32_t vocab, std::size_t rows) {
    LogitsReader reader;
    reader.in_.open(file.path, std::ios::binary);
    if (!reader.in_) return fail(Errc::file_not_found, file.path.string());
    std::array<char, 8> magic{};
    std::array<std::uint32_t, 2> shape{};
    reader.in_.read(magic.data(), magic.size());
    reader.in_.read(reinterpret_cast<char*>(shape.data()), sizeof shape);
    if (!reader.in_ || std::memcmp(magic.data(), "TROUPELG", magic.size()) != 0)
      return fail(Errc::file_malformed, file.path.string() + " is no file of logits");
    if (shape[0] != vocab || shape[1] != rows) {
      return fail(Errc::file_malformed, file.path.string() + ": expected " + std::to_string(rows) + " rows of " +
                                            std::to_string(vocab) + " logits, found " + std::to_string(shape[1]) + " of " +
                                            std::to_string(shape[0]));
    }
    reader.row_.resize(vocab);
    return reader;
  }
  Expected<std::span<const float>> next() {
    in_.read(reinterpret_cast<char*>(row_.data()), static_cast<std::streamsize>(row_.size() * sizeof(float)));
    if (!in_) return fail(Errc::file_malformed, "a file of logits ends early");
    return std::span<const float>(row_);
  }

 private:
  std::ifstream in_;
  std::vector<float> row_;
};

Expected<std::unique_ptr<ModelRunner>> make_runner(const std::shared_ptr<const Model>& model, backend::CpuOptions cpu,
                                                   backend::Numerics numerics, backend::KvCodec codec, std::uint32_t pages,
                                                   std::string* device) {
  cpu.numerics = numerics;
  cpu.kv_codec = codec;
  cpu.pin_threads = false;  // two backends take turns on the same CPUs
  auto made = backend::make_cpu_backend(cpu);
  TROUPE_TRY(made);
  *device = (*made)->info().name;
  return ModelRunner::create(model, std::shared_ptr<backend::Backend>(std::move(*made)), kRows, pages);
}

/// Rows [begin, end) of a sequence whose pages are 0, 1, ...
StepBatch batch_of(const std::vector<TokenId>& tokens, std::size_t begin, std::size_t end) {
  std::vector<std::uint32_t> pages((tokens.size() + backend::kPageSlots - 1) / backend::kPageSlots);
  std::iota(pages.begin(), pages.end(), 0u);
  StepBatch batch;
  const std::uint32_t sequence = batch.add_sequence(pages);
  for (std::size_t at = begin; at < end; ++at) {
    const auto index = static_cast<std::uint32_t>(at);
    batch.add_row(sequence, tokens[at], index, index, index, true);
  }
  return batch;
}

Expected<void> check(const Model& model, const TokenSequences& sequences) {
  if (sequences.empty()) return fail(Errc::invalid_argument, "there are no tokens to predict");
  for (const auto& tokens : sequences) {
    if (tokens.size() < 2 || tokens.size() > model.config().context_length)
      return fail(Errc::invalid_argument, "a sequence has " + std::to_string(tokens.size()) + " tokens, expected 2.." +
                                              std::to_string(model.config().context_length));
  }
  return {};
}

}  // namespace

double Divergence::mean_kl() const {
  return kl.empty() ? 0 : std::accumulate(kl.begin(), kl.end(), 0.0) / static_cast<double>(kl.size());
}

double Divergence::perplexity() const { return predicted == 0 ? 0 : std::exp(log_loss / static_cast<double>(predicted)); }

void add_position(Divergence& divergence, std::span<const float> reference, std::span<const float> own, TokenId next) {
  const double reference_sum = log_sum_exp(reference), own_sum = log_sum_exp(own);
  double kl = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double log_p = reference[i] - reference_sum, log_q = own[i] - own_sum;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  divergence.kl.push_back(std::max(0.0, kl));
  divergence.same_top += best_of(reference) == best_of(own);
  if (next < 0) return;
  divergence.log_loss += own_sum - own[static_cast<std::size_t>(next)];
  divergence.predicted += 1;
}

TokenSequences cut_sequences(std::span<const TokenId> tokens, std::size_t context, TokenId bos) {
  TokenSequences sequences;
  const std::size_t room = context - (bos >= 0 ? 1 : 0);
  for (std::size_t at = 0; at < tokens.size(); at += room) {
    const auto part = tokens.subspan(at, std::min(room, tokens.size() - at));
    std::vector<TokenId> sequence;
    if (bos >= 0) sequence.push_back(bos);
    sequence.insert(sequence.end(), part.begin(), part.end());
    if (sequence.size() >= 2) sequences.push_back(std::move(sequence));
  }
  return sequences;
}

Expected<TokenSequences> read_sequences(const std::filesystem::path& path, std::size_t vocab) {
  std::ifstream in(path);
  if (!in) return fail(Errc::file_not_found, path.string());
  TokenSequences sequences;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::vector<TokenId> tokens;
    for (std::int64_t token = 0; words >> token;) {
      if (token < 0 || static_cast<std::size_t>(token) >= vocab)
        return fail(Errc::file_malformed, path.string() + ": the vocabulary has no token " + std::to_string(token));
      tokens.push_back(static_cast<TokenId>(token));
    }
    if (!words.eof()) return fail(Errc::file_malformed, path.string() + ": expected token ids, found: " + line.substr(0, 40));
    if (!tokens.empty()) sequences.push_back(std::move(tokens));
  }
  return sequences;
}

Expected<void> write_sequences(const std::filesystem::path& path, const TokenSequences& sequences) {
  std::ofstream out(path);
  for (const auto& tokens : sequences) {
    for (std::size_t i = 0; i < tokens.size(); ++i) out << (i == 0 ? "" : " ") << tokens[i];
    out << "\n";
  }
  out.flush();
  if (!out) return fail(Errc::io_failed, "cannot write " + path.string());
  return {};
}

Expected<QualityReport> run_quality(std::shared_ptr<const Model> model, const backend::CpuOptions& cpu,
                                    const TokenSequences& sequences, const std::vector<LogitsFile>& others,
                                    const std::function<void(double)>& progress) {
  TROUPE_TRY(check(*model, sequences));
  std::size_t rows = 0, longest = 0;
  for (const auto& tokens : sequences) {
    rows += tokens.size();
    longest = std::max(longest, tokens.size());
  }
  const std::size_t vocab = model->config().vocab;
  const auto pages = static_cast<std::uint32_t>(longest / backend::kPageSlots + 1);
  std::vector<LogitsReader> readers;
  QualityReport report{model->file().path().filename().string(), {}, rows, sequences.size(), {}, {}, {}, {}, {}};
  report.reference.name = "reference";
  report.fast.name = "fast";
  for (const LogitsFile& file : others) {
    auto reader = LogitsReader::open(file, static_cast<std::uint32_t>(vocab), rows);
    TROUPE_TRY(reader);
    readers.push_back(std::move(*reader));
    report.others.emplace_back().name = file.name;
  }
  using enum backend::KvCodec;
  auto reference = make_runner(model, cpu, backend::Numerics::reference, f16, pages, &report.device);
  TROUPE_TRY(reference);
  auto fast = make_runner(model, cpu, backend::Numerics::fast, f16, pages, &report.device);
  TROUPE_TRY(fast);
  std::unique_ptr<ModelRunner> lossy;
  if (cpu.kv_codec == int8) {
    auto made = make_runner(model, cpu, backend::Numerics::fast, int8, pages, &report.device);
    TROUPE_TRY(made);
    lossy = std::move(*made);
    report.codec.emplace().name = "fast, int8 pages";
    report.codec_alone.emplace().name = "  its own part";
  }

  std::vector<float> kept(kRows * vocab);  // the reference's logits of one pass
  std::vector<float> exact(lossy ? kRows * vocab : 0);  // and the fast path's
  std::size_t done = 0;
  for (const auto& tokens : sequences) {
    for (std::size_t begin = 0; begin < tokens.size(); begin += kRows) {
      const std::size_t end = std::min(begin + kRows, tokens.size());
      const StepBatch batch = batch_of(tokens, begin, end);
      const auto next = [&](std::size_t i) { return begin + i + 1 < tokens.size() ? tokens[begin + i + 1] : TokenId{-1}; };
      const auto row = [&](std::size_t i) { return std::span<const float>(kept).subspan(i * vocab, vocab); };
      (*reference)->forward(batch, {}, [&](std::size_t i, std::span<const float> logits) {
        std::copy(logits.begin(), logits.end(), kept.begin() + static_cast<std::ptrdiff_t>(i * vocab));
        add_position(report.reference, row(i), row(i), next(i));
      });
      (*fast)->forward(batch, {}, [&](std::size_t i, std::span<const float> logits) {
        add_position(report.fast, row(i), logits, next(i));
        if (lossy) std::copy(logits.begin(), logits.end(), exact.begin() + static_cast<std::ptrdiff_t>(i * vocab));
      });
      if (lossy) {
        lossy->forward(batch, {}, [&](std::size_t i, std::span<const float> logits) {
          add_position(*report.codec, row(i), logits, next(i));
          add_position(*report.codec_alone, std::span<const float>(exact).subspan(i * vocab, vocab), logits, next(i));
        });
      }
      for (std::size_t r = 0; r < readers.size(); ++r) {
        for (std::size_t i = 0; i < end - begin; ++i) {
          const auto logits = readers[r].next();
          TROUPE_TRY(logits);
          add_position(report.others[r], row(i), *logits, next(i));
        }
      }
      done += end - begin;
      progress(static_cast<double>(done) / static_cast<double>(rows));
    }
  }
  return report;
}

}  // namespace troupe::bench
