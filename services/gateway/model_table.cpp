#include "services/gateway/model_table.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "common/config/model_catalog.hpp"
#include "common/gguf/gguf.hpp"

namespace troupe::gateway {
namespace {

std::string special_text(const Tokenizer& tokenizer, TokenId token) {
  return token < 0 ? std::string() : std::string(tokenizer.token_text(token));
}

/// A character that stands nowhere in `context` and is not `taken`: one of those that Unicode keeps for use
/// inside a program.
Expected<std::string> free_mark(const Json& context, std::string_view taken = {}) {
  const std::string text = context.dump();
  for (unsigned last = 0x90; last < 0xB0; ++last) {
    const std::string mark = std::string("\xEF\xB7") + static_cast<char>(last);  // U+FDD0 to U+FDEF
    if (mark != taken && text.find(mark) == std::string::npos) return mark;
  }
  return fail(Errc::invalid_argument, "the text uses every one of the noncharacters U+FDD0 to U+FDEF");
}

/// Every text in `json`, keys among them and however deep, with the spellings of control tokens marked: what
/// a client sends is text, also where it spells the end of its own message.
Json marked(const Json& json, const Tokenizer& tokenizer, const std::string& mark) {
  if (json.is_string()) return tokenizer.mark_control_spellings(json.get_ref<const std::string&>(), mark);
  if (json.is_array()) {
    Json out = Json::array();
    for (const Json& part : json) out.push_back(marked(part, tokenizer, mark));
    return out;
  }
  if (!json.is_object()) return json;
  Json out = Json::object();
  for (const auto& [key, value] : json.items())
    out[tokenizer.mark_control_spellings(key, mark)] = marked(value, tokenizer, mark);
  return out;
}

std::int64_t modified_at(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto written = std::filesystem::last_write_time(path, ignored);
  if (ignored) return 0;
  const auto since = std::chrono::file_clock::to_sys(written).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(since).count();
}

ModelFile read_facts(const gguf::File& file) {
  ModelFile facts;
  const auto architecture = file.string_value("general.architecture");
  if (architecture && architecture->has_value()) facts.architecture = **architecture;
  std::map<gguf::TensorType, std::uint64_t> elements;
  for (const gguf::Tensor& tensor : file.tensors()) {
    facts.parameters += tensor.elements();
    elements[tensor.type] += tensor.elements();
  }
  const auto most = std::ranges::max_element(elements, {}, [](const auto& entry) { return entry.second; });
  if (most != elements.end())
    facts.weights = gguf::tensor_type_info(static_cast<std::uint32_t>(most->first))->name;
  facts.bytes = file.file_bytes();
  facts.modified = modified_at(file.path());
  return facts;
}

/// Leaves what stands before the last `mark`.
Expected<void> cut_at(const std::string& mark, std::string& text) {
  const auto at = text.rfind(mark);
  if (at == std::string::npos)
    return fail(Errc::template_failed,
                "continue_final_message: the template does not show the last message as it is");
  text.resize(at);
  if (text.find(mark) != std::string::npos)
    return fail(Errc::template_failed,
                "continue_final_message: the template shows the last message more than once");
  return {};
}

Json context_of(const ChatInput& input) {
  Json context = input.kwargs;
  context["messages"] = input.messages;
  if (!input.tools.empty()) context["tools"] = input.tools;
  if (!input.documents.empty()) context["documents"] = input.documents;
  context["add_generation_prompt"] = input.add_generation_prompt;
  return context;
}

}  // namespace

Expected<std::vector<TokenId>> ModelText::encode_chat(const ChatInput& input) const {
  if (!chat_template) {
    return fail(Errc::no_chat_template,
                "the file of '" + name + "' carries no chat template; send the prompt to /v1/completions");
  }
  const Json plain = context_of(input);
  const auto mark = free_mark(plain);
  TROUPE_TRY(mark);
  Json context = marked(plain, *tokenizer, *mark);
  std::string end;  // of the message that is gone on with
  if (input.continues) {
    auto found = free_mark(plain, *mark);
    TROUPE_TRY(found);
    end = std::move(*found);
    Json& content = context["messages"].back()["content"];
    content = content.get<std::string>() + end;
  }
  const std::string begin = special_text(*tokenizer, tokenizer->bos());
  context["bos_token"] = begin;
  context["eos_token"] = special_text(*tokenizer, tokenizer->eos());
  auto text = chat_template->render(context);
  TROUPE_TRY(text);
  if (input.continues) TROUPE_TRY(cut_at(end, *text));
  const bool has_begin = !begin.empty() && text->starts_with(begin);
  return tokenizer->encode_marked(*text, *mark, !has_begin);
}

Expected<ModelTable> ModelTable::load(
    const std::vector<std::pair<std::string, std::filesystem::path>>& models) {
  ModelTable table;
  for (const auto& [name, path] : models) {
    if (holds_encoder(path)) {
      auto words = Tokenizer::from_word_list(path.parent_path() / "vocab.txt");
      if (!words) return tl::unexpected<Error>(std::move(words.error()));
      TROUPE_TRY(table.add({name, std::move(*words), nullptr}));
      continue;
    }
    auto file = gguf::File::open(path);
    if (!file) return tl::unexpected<Error>(std::move(file.error()));
    auto tokenizer = Tokenizer::from_gguf(**file);
    if (!tokenizer) return tl::unexpected<Error>(std::move(tokenizer.error()));
    ModelText model{name, std::move(*tokenizer), nullptr, read_facts(**file)};
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
