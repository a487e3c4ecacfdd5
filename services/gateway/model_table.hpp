#pragma once
// What the gateway knows of each model: its tokenizer and its chat template, both read from the model's file.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.hpp"
#include "common/template/chat_template.hpp"
#include "common/tokenizer/tokenizer.hpp"
#include "services/gateway/chat_input.hpp"
#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// What a model's file says of itself.
struct ModelFile {
  std::string architecture;      ///< "llama"
  std::string weights;           ///< the type that most of its numbers have: "Q4_1"
  std::uint64_t parameters = 0;  ///< numbers in its tensors
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;  ///< seconds since 1970
};

/// Immutable. Threads: any.
struct ModelText {
  std::string name;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;  ///< null: the file carries none
  ModelFile file = {};

  /// Tokens of a chat by the template, given what fits it (fit_to_template); the begin token is added unless the
  /// template wrote it. Markers that the template writes become tokens, those that a client wrote stay text.
  /// Errors: no_chat_template, template_failed; invalid_argument.
  [[nodiscard]] Expected<std::vector<TokenId>> encode_chat(const ChatInput& input) const;
};

class ModelTable {
 public:
  /// Reads the files, name by name; of an encoder the vocab.txt beside it. A template that does not parse is an error: answers would be wrong
  /// without it. Errors: those of gguf::File and Tokenizer; config_invalid for a name given twice.
  [[nodiscard]] static Expected<ModelTable> load(
      const std::vector<std::pair<std::string, std::filesystem::path>>& models);

  /// Errors: config_invalid for a name that is there already.
  [[nodiscard]] Expected<void> add(ModelText model);
  [[nodiscard]] std::shared_ptr<const ModelText> find(std::string_view name) const;
  [[nodiscard]] const std::vector<std::shared_ptr<const ModelText>>& models() const { return models_; }

 private:
  std::vector<std::shared_ptr<const ModelText>> models_;
};

}  // namespace troupe::gateway
