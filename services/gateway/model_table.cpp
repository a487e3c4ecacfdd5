#include "services/gateway/model_table.hpp"

#include "common/gguf/gguf.hpp"

namespace troupe::gateway {
namespace {

std::string special_text(const Tokenizer& tokenizer, TokenId token) {
  return token < 0 ? std::string() : std::string(tokenizer.token_text(token));
}

/// A character that stands nowhere in `messages`: one of those that Unicode keeps for use inside a program.
Expected<std::string> free_mark(const Json& messages) {
  const std::string text = messages.dump();
  for (unsigned last = 0x90; last < 0xB0; ++last) {
    const std::string mark = std::string("\xEF\xB7") + static_cast<char>(last);  // U+FDD0 to U+FDEF
    if (text.find(mark) == std::string::npos) return mark;
  }
  return fail(Errc::invalid_argument, "the text uses every one of the noncharacters U+FDD0 to U+FDEF");
}

/// Every text in `json`, however deep, with the spellings of control tokens marked: what a client sends is
/// text, also where it spells the end of its own message.
void mark_texts(Json& json, const Tokenizer& tokenizer, const std::string& mark) {
  if (json.is_string()) {
    json = tokenizer.mark_control_spellings(json.get_ref<const std::string&>(), mark);
  } else if (json.is_structured()) {
    for (Json& part : json) mark_texts(part, tokenizer, mark);
  }
}

}  // namespace

Expected<std::string> ModelText::render(const Json& messages, bool add_generation_prompt) const {
  if (!chat_template) {
    return fail(Errc::no_chat_template,
                "the file of '" + name + "' carries no chat template; send the prompt to /v1/completions");
  }
  Json context = Json::object();
  context["messages"] = messages;
  context["add_generation_prompt"] = add_generation_prompt;
  context["bos_token"] = special_text(*tokenizer, tokenizer->bos());
  context["eos_token"] = special_text(*tokenizer, tokenizer->eos());
  return chat_template->render(context);
}

Expected<std::vector<TokenId>> ModelText::encode_chat(const Json& messages,
                                                      bool add_generation_prompt) const {
  auto mark = free_mark(messages);
  if (!mark) return tl::unexpected<Error>(std::move(mark.error()));
  Json marked = messages;
  mark_texts(marked, *tokenizer, *mark);
  auto text = render(marked, add_generation_prompt);
  if (!text) return tl::unexpected<Error>(std::move(text.error()));
  const std::string begin = special_text(*tokenizer, tokenizer->bos());
  const bool has_begin = !begin.empty() && text->starts_with(begin);
  return tokenizer->encode_marked(*text, *mark, !has_begin);
}

Expected<ModelTable> ModelTable::load(
    const std::vector<std::pair<std::string, std::filesystem::path>>& models) {
  ModelTable table;
  for (const auto& [name, path] : models) {
    auto file = gguf::File::open(path);
    if (!file) return tl::unexpected<Error>(std::move(file.error()));
    auto tokenizer = Tokenizer::from_gguf(**file);
    if (!tokenizer) return tl::unexpected<Error>(std::move(tokenizer.error()));
    ModelText model{name, std::move(*tokenizer), nullptr};
    if (const std::string_view source = model.tokenizer->chat_template(); !source.empty()) {
      auto parsed = ChatTemplate::parse(source);
      if (!parsed)
        return fail(Errc::file_unsupported,
                    path.string() + ": tokenizer.chat_template: " + parsed.error().detail);
      model.chat_template = std::move(*parsed);
    }
    TROUPE_TRY(table.add(std::move(model)));
  }
  return table;
}

Expected<void> ModelTable::add(ModelText model) {
  if (find(model.name)) return fail(Errc::config_invalid, "two models are named '" + model.name + "'");
  models_.push_back(std::make_shared<const ModelText>(std::move(model)));
  return {};
}

std::shared_ptr<const ModelText> ModelTable::find(std::string_view name) const {
  for (const auto& model : models_) {
    if (model->name == name) return model;
  }
  return nullptr;
}

}  // namespace troupe::gateway
