// BERT's vocab.txt: a token a line, its number the id; "##" before pieces that go on with a word.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "common/tokenizer/token_spec.hpp"
#include "common/tokenizer/utf8.hpp"
#include "common/tokenizer/vocabulary.hpp"

namespace troupe {
namespace {

constexpr std::uintmax_t kMostBytes = 64U << 20;
constexpr std::string_view kGoesOn = "##";

TokenKind kind_of(std::string_view line) {
  static constexpr std::string_view kControl[] = {"[PAD]", "[CLS]", "[SEP]", "[MASK]"};
  if (line == "[UNK]") return TokenKind::unknown;
  return std::ranges::find(kControl, line) != std::end(kControl) ? TokenKind::control : TokenKind::normal;
}

Expected<std::string> read_list(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return fail(Errc::file_not_found, fmt::format("{}: {}", path.string(), error.message()));
  if (size > kMostBytes)
    return fail(Errc::file_malformed,
                fmt::format("{}: {} bytes of words, expected at most {}", path.string(), size, kMostBytes));
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return fail(Errc::io_failed, fmt::format("{}: it cannot be read", path.string()));
  if (const auto at = utf8::first_invalid(text))
    return fail(Errc::file_malformed, fmt::format("{}: byte {} is no UTF-8", path.string(), *at));
  return text;
}

}  // namespace

Expected<std::shared_ptr<const Tokenizer>> Tokenizer::from_word_list(const std::filesystem::path& path) {
  const auto text = read_list(path);
  TROUPE_TRY(text);
  TokenizerSpec spec;
  spec.model = "bert";
  std::vector<std::string>
      spellings;  // as GGUF files have them: the mark is before words, none before what goes on
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::string_view line = std::string_view(*text).substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    spec.kinds.push_back(kind_of(line));
    if (spec.kinds.back() != TokenKind::normal)
      spellings.emplace_back(line);
    else if (line.size() > kGoesOn.size() && line.starts_with(kGoesOn))
      spellings.emplace_back(line.substr(kGoesOn.size()));
    else
      spellings.push_back(std::string(kSpaceMark) + std::string(line));
    at = end + 1;
  }
  spec.tokens.assign(spellings.begin(), spellings.end());
  auto made = make_tokenizer(spec);
  if (!made) return fail(made.error().code, fmt::format("{}: {}", path.string(), made.error().detail));
  return made;
}

}  // namespace troupe
