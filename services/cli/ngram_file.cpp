#include "services/cli/ngram_file.hpp"

#include <fstream>

namespace troupe::cli {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16U;  // bytes after which a line's end ends a piece

Expected<void> count(const std::string& text, const std::string& path, const Tokenizer& tokenizer,
                     NgramTable& table) {
  if (text.empty()) return {};
  const auto tokens = tokenizer.encode(text, SpecialTokens::as_text, false);
  if (!tokens) return fail(tokens.error().code, path + ": " + tokens.error().detail);
  table.add(*tokens);
  return {};
}

}  // namespace

Expected<std::shared_ptr<const NgramTable>> ngrams_of_file(const std::string& path,
                                                           const Tokenizer& tokenizer,
                                                           std::size_t most_runs) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::file_not_found, path + " cannot be read");
  auto table = std::make_shared<NgramTable>(most_runs);
  std::string piece, line;
  while (std::getline(in, line)) {
    piece += line;
    piece += '\n';
    if (piece.size() < kPiece) continue;
    TROUPE_TRY(count(piece, path, tokenizer, *table));
    piece.clear();
  }
  if (in.bad()) return fail(Errc::io_failed, path + " cannot be read to its end");
  TROUPE_TRY(count(piece, path, tokenizer, *table));
  return std::shared_ptr<const NgramTable>(std::move(table));
}

}  // namespace troupe::cli
