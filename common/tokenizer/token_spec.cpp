#include "common/tokenizer/token_spec.hpp"

#include <fmt/format.h>

namespace troupe {
namespace {

/// Reads keys one after another and keeps the first error.
class KeyReader {
 public:
  explicit KeyReader(const gguf::File& file) : file_(file) {}

  std::string text(std::string_view key) { return std::string(take(file_.string_value(key)).value_or("")); }
  std::optional<bool> flag(std::string_view key) { return take(file_.bool_value(key)); }
  std::vector<std::string_view> texts(std::string_view key) {
    return take(file_.string_array(key)).value_or(std::vector<std::string_view>{});
  }
  std::vector<float> floats(std::string_view key) {
    const auto values = take(file_.float_array(key)).value_or(std::vector<double>{});
    std::vector<float> out;
    out.reserve(values.size());
    for (const double value : values) out.push_back(static_cast<float>(value));
    return out;
  }
  std::vector<TokenKind> kinds(std::string_view key) {
    const auto values = take(file_.integer_array(key)).value_or(std::vector<std::int64_t>{});
    std::vector<TokenKind> out;
    out.reserve(values.size());
    for (const std::int64_t value : values) {
      if (value < 0 || value > 6) set_error(fmt::format("{} holds {}, expected 0 to 6", key, value));
      out.push_back(value <= 0 || value > 6 ? TokenKind::normal : static_cast<TokenKind>(value));
    }
    return out;
  }
  std::string octets(std::string_view key) {
    std::string out;
    for (const std::int64_t value : take(file_.integer_array(key)).value_or(std::vector<std::int64_t>{}))
      out += static_cast<char>(static_cast<unsigned char>(value));
    return out;
  }
  /// -1 when the key is absent or holds the "none" of some converters, 2^32 - 1.
  TokenId id(std::string_view key, std::size_t vocab_size) {
    const std::optional<std::uint64_t> value = take(file_.unsigned_value(key));
    if (!value || *value == UINT32_MAX) return -1;
    if (*value >= vocab_size) {
      set_error(fmt::format("{} is {}, expected below the vocabulary's {}", key, *value, vocab_size));
      return -1;
    }
    return static_cast<TokenId>(*value);
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  template <class T>
  std::optional<T> take(Expected<std::optional<T>> value) {
    if (value) return std::move(*value);
    if (!error_) error_ = value.error();
    return std::nullopt;
  }
  void set_error(std::string what) {
    if (!error_) error_ = Error{Errc::file_malformed, fmt::format("{}: {}", file_.path().string(), what)};
  }

  const gguf::File& file_;
  std::optional<Error> error_;
};

}  // namespace

Expected<TokenizerSpec> read_token_spec(const gguf::File& file) {
  KeyReader keys(file);
  TokenizerSpec spec;
  spec.model = keys.text("tokenizer.ggml.model");
  spec.pre = keys.text("tokenizer.ggml.pre");
  spec.file_name = keys.text("general.name");
  spec.tokens = keys.texts("tokenizer.ggml.tokens");
  spec.kinds = keys.kinds("tokenizer.ggml.token_type");
  spec.scores = keys.floats("tokenizer.ggml.scores");
  spec.merges = keys.texts("tokenizer.ggml.merges");
  const std::size_t count = spec.tokens.size();
  spec.bos = keys.id("tokenizer.ggml.bos_token_id", count);
  spec.eos = keys.id("tokenizer.ggml.eos_token_id", count);
  spec.eot = keys.id("tokenizer.ggml.eot_token_id", count);
  spec.eom = keys.id("tokenizer.ggml.eom_token_id", count);
  spec.unknown = keys.id("tokenizer.ggml.unknown_token_id", count);
  spec.add_bos = keys.flag("tokenizer.ggml.add_bos_token");
  spec.add_eos = keys.flag("tokenizer.ggml.add_eos_token");
  spec.add_space_prefix = keys.flag("tokenizer.ggml.add_space_prefix");
  spec.remove_extra_whitespaces = keys.flag("tokenizer.ggml.remove_extra_whitespaces");
  spec.charsmap = keys.octets("tokenizer.ggml.precompiled_charsmap");
  spec.chat_template = keys.text("tokenizer.chat_template");
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  return spec;
}

Expected<std::shared_ptr<const Tokenizer>> Tokenizer::from_gguf(const gguf::File& file) {
  const auto spec = read_token_spec(file);
  if (!spec) return tl::unexpected<Error>(spec.error());
  auto tokenizer = make_tokenizer(*spec);
  if (!tokenizer)
    tokenizer.error().detail = fmt::format("{}: {}", file.path().string(), tokenizer.error().detail);
  return tokenizer;
}

}  // namespace troupe
