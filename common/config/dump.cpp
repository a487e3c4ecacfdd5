#include "common/config/dump.hpp"

#include <array>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

/// In place of a secret that has been given.
constexpr std::string_view kHidden = "***";

bool hides(const Option& option, const Value& value) {
  return option.secret && !format_value(value).empty();
}

std::string yaml_value(const Value& value) {
  if (const auto* list = std::get_if<TextList>(&value)) {
    std::string text = "[";
    for (const std::string& item : *list) text.append(text.size() > 1 ? ", " : "").append(yaml_quote(item));
    return text + "]";
  }
  if (const auto* text = std::get_if<std::string>(&value)) return yaml_quote(*text);
  return format_value(value);
}

/// "integer (tokens), 1..65536, default 512"
std::string facts(const Option& option) {
  std::string text;
  if (option.type == OptionType::choice) {
    for (const std::string_view choice : option.choices) text.append(text.empty() ? "" : "|").append(choice);
  } else {
    text = name(option.type);
  }
  if (!option.unit.empty()) text.append(" (").append(option.unit).append(")");
  if (const std::string bounds = bounds_text(option); !bounds.empty()) text.append(", ").append(bounds);
  text.append(", default ").append(option.default_text.empty() ? "empty" : option.default_text);
  return option.reloadable ? text.append(", reloadable") : text;
}

/// Cuts at spaces so that a line with its prefix stays under 100 columns.
std::string wrapped(std::string_view text, const std::string& prefix) {
  constexpr std::size_t kColumns = 100;
  std::string out;
  while (!text.empty()) {
    const std::size_t room = kColumns - prefix.size();
    std::size_t end = text.size();
    if (end > room) {
      end = text.rfind(' ', room);
      if (end == std::string_view::npos || end == 0) end = std::min(text.find(' '), text.size());
    }
    out.append(prefix).append(text.substr(0, end)).append("\n");
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return out;
}

nlohmann::json json_value(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* bytes = std::get_if<ByteCount>(&value)) return bytes->value;
  if (const auto* time = std::get_if<Duration>(&value)) return std::chrono::duration<double>(*time).count();
  if (const auto* list = std::get_if<TextList>(&value)) return *list;
  return std::get<std::string>(value);
}

}  // namespace

std::string_view name(Origin origin) {
  constexpr std::array<std::string_view, 4> kNames{"default", "file", "environment", "flag"};
  return kNames[static_cast<std::size_t>(origin)];
}

std::string dump_yaml(const Config& config, RoleSet roles) {
  std::string out;
  std::string group;
  for (std::size_t i = 0; i < config.schema().options().size(); ++i) {
    const Option& option = config.schema().options()[i];
    if ((option.roles & roles) == 0) continue;
    const std::size_t dot = option.name.find('.');
    const std::string_view own_group =
        dot == std::string_view::npos ? std::string_view{} : option.name.substr(0, dot);
    if (own_group != group) {
      group = own_group;
      if (!group.empty()) out += "\n" + group + ":\n";
    }
    const std::string indent = group.empty() ? "" : "  ";
    out += wrapped(option.help, indent + "# ");
    out += wrapped(facts(option) + "; used by " + role_names(option.roles), indent + "# ");
    const Provenance& provenance = config.provenance(i);
    out += indent + std::string(option.name.substr(group.empty() ? 0 : dot + 1)) + ": " +
           (hides(option, config.value(i)) ? yaml_quote(kHidden) : yaml_value(config.value(i)));
    if (provenance.origin != Origin::default_value)
      out += "  # from " + std::string(name(provenance.origin)) + " " + provenance.place;
    out += "\n";
  }
  return out;
}

std::string dump_json(const Config& config, RoleSet roles) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < config.schema().options().size(); ++i) {
    const Option& option = config.schema().options()[i];
    if ((option.roles & roles) == 0) continue;
    nlohmann::ordered_json entry;
    const bool hidden = hides(option, config.value(i));
    entry["value"] =
        hidden ? nlohmann::ordered_json(kHidden) : nlohmann::ordered_json(json_value(config.value(i)));
    entry["text"] = hidden ? std::string(kHidden) : format_value(config.value(i));
    entry["origin"] = std::string(name(config.provenance(i).origin));
    if (!config.provenance(i).place.empty()) entry["place"] = config.provenance(i).place;
    out[std::string(option.name)] = std::move(entry);
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string help_text_of_flags(const Schema& schema, RoleSet roles) {
  std::string out;
  for (const Option& option : schema.options()) {
    if ((option.roles & roles) == 0) continue;
    out += "  " + flag_name(option.name) + "  " + facts(option) + "\n" + wrapped(option.help, "      ");
  }
  return out;
}

std::string help_text(const Schema& schema, RoleSet roles) {
  return help_text_of_flags(schema, roles) +
         "\nEvery flag is also an environment variable (TROUPE_HTTP_PORT) and a key of the YAML file that\n"
         "--config or TROUPE_CONFIG names (http: {port: 8080}); flag beats environment beats file beats "
         "default.\n";
}

}  // namespace troupe
