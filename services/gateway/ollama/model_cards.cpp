#include "services/gateway/ollama/model_cards.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>

#include "services/gateway/answer_reader.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/time_text.hpp"

namespace troupe::gateway::ollama {
namespace {

constexpr std::string_view kNever = "9999-12-31T23:59:59Z";

void append_text(std::string& out, std::string_view key, std::string_view value) {
  append_quoted(out, key);
  out += ':';
  append_quoted(out, value);
}

void append_count(std::string& out, std::string_view key, std::uint64_t value) {
  append_quoted(out, key);
  out += ':';
  append_number(out, value);
}

std::string tagged(const std::string& name) {
  return name.find(':') == std::string::npos ? name + std::string(kLatest) : name;
}

std::string modified(const ModelFile& file) {
  return rfc3339(std::chrono::system_clock::time_point{std::chrono::seconds(file.modified)});
}

void append_details(std::string& out, const ModelFile& file) {
  out += R"("details":{"parent_model":"","format":"gguf",)";
  append_text(out, "family", file.architecture);
  out += ",\"families\":[";
  append_quoted(out, file.architecture);
  out += "],";
  append_text(out, "parameter_size", short_count(file.parameters));
  out += ',';
  append_text(out, "quantization_level", file.weights);
  out += '}';
}

/// What /api/tags and /api/ps have in common.
void append_card(std::string& out, const ApiHost::Found& model) {
  const auto& [text, served] = model;
  const std::string name = tagged(served.name);
  out += '{';
  append_text(out, "name", name);
  out += ',';
  append_text(out, "model", name);
  out += ',';
  append_count(out, "size", text->file.bytes);
  out += ',';
  append_text(out, "digest", to_hex(served.id));
  out += ',';
  append_details(out, text->file);
}

std::string list_of(std::span<const ApiHost::Found> models,
                    const std::function<void(std::string&, const ApiHost::Found&)>& append_rest) {
  std::string out = "{\"models\":[";
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i != 0) out += ',';
    append_card(out, models[i]);
    append_rest(out, models[i]);
    out += '}';
  }
  return out + "]}";
}

void append_capabilities(std::string& out, const ModelText& model) {
  out += R"("capabilities":["completion")";
  if (model.chat_template) out += R"(,"tools")";
  if (can_think(model)) out += R"(,"thinking")";
  out += ']';
}

}  // namespace

bool can_think(const ModelText& model) {
  return model.chat_template && model.chat_template->source().find(kThinkBegin) != std::string_view::npos;
}

std::string short_count(std::uint64_t parameters) {
  const auto count = static_cast<double>(parameters);
  std::array<char, 32> text{};
  if (parameters >= 1'000'000'000) {
    std::snprintf(text.data(), text.size(), "%.1fB", count / 1e9);
  } else if (parameters >= 1'000'000) {
    std::snprintf(text.data(), text.size(), "%.2fM", count / 1e6);
  } else {
    std::snprintf(text.data(), text.size(), "%.2fK", count / 1e3);
  }
  return text.data();
}

std::string tags_json(std::span<const ApiHost::Found> models) {
  return list_of(models, [](std::string& out, const ApiHost::Found& model) {
    out += ',';
    append_text(out, "modified_at", modified(model.first->file));
  });
}

std::string running_json(std::span<const ApiHost::Found> models) {
  return list_of(models, [](std::string& out, const ApiHost::Found& model) {
    out += ',';
    append_text(out, "expires_at", kNever);
    out += ",\"size_vram\":0,";
    append_count(out, "context_length", model.second.context_length);
  });
}

std::string show_json(const ApiHost::Found& model) {
  const auto& [text, served] = model;
  std::string out = "{";
  append_text(out, "modelfile", "FROM " + served.name + "\n");
  out += R"(,"parameters":"",)";
  append_text(out, "template", text->chat_template ? text->chat_template->source() : "{{ .Prompt }}");
  out += ',';
  append_details(out, text->file);
  out += ",\"model_info\":{";
  append_text(out, "general.architecture", text->file.architecture);
  out += ',';
  append_count(out, "general.parameter_count", text->file.parameters);
  out += ',';
  append_count(out, text->file.architecture + ".context_length", served.context_length);
  out += "},";
  append_capabilities(out, *text);
  out += ',';
  append_text(out, "modified_at", modified(text->file));
  return out + "}";
}

}  // namespace troupe::gateway::ollama
