#include "common/config/config.hpp"

#include <unistd.h>

#include <fstream>

#include "common/config/edit_distance.hpp"

namespace troupe {
namespace {

constexpr std::string_view kPrefix = "TROUPE_";
constexpr std::string_view kConfigVariable = "TROUPE_CONFIG";
constexpr std::string_view kConfigFlag = "--config";
constexpr std::size_t kLargestSecret = 4096;

tl::unexpected<Error> invalid(std::string detail) {
  return fail(Errc::config_invalid, std::move(detail));
}

tl::unexpected<Error> at(std::string_view place, const Error& error) {
  return fail(error.code, std::string(place) + ": " + error.detail);
}

/// One flag as written: name with dashes, and its value when it came with one.
struct Flag {
  std::string name;
  std::optional<std::string> value;
};

}  // namespace

/// The steps of Config::load, weakest source first so that a stronger one overwrites.
class ConfigLoader {
 public:
  ConfigLoader(Config& config, const ConfigSources& sources)
      : config_(config), schema_(config.schema()), sources_(sources) {}

  Expected<void> run() {
    TROUPE_TRY(split_arguments());
    TROUPE_TRY(load_file());
    TROUPE_TRY(load_environment());
    return load_flags();
  }

 private:
  Expected<void> split_arguments() {
    const auto& arguments = sources_.arguments;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& argument = arguments[i];
      if (argument == "--") {
        config_.positionals_.insert(config_.positionals_.end(),
                                    arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
        break;
      }
      if (argument.size() < 3 || !argument.starts_with("--")) {
        if (argument.size() > 1 && argument[0] == '-')
          return invalid("found " + argument + ", expected flags written --name");
        config_.positionals_.push_back(argument);
        continue;
      }
      Flag flag;
      const std::size_t equals = argument.find('=');
      flag.name = argument.substr(0, equals);
      if (equals != std::string::npos) flag.value = argument.substr(equals + 1);
      if (!flag.value && takes_value(flag.name)) {
        if (i + 1 >= arguments.size())
          return invalid(flag.name + ": found nothing after it, expected a value");
        flag.value = arguments[++i];
      }
      if (flag.name == kConfigFlag)
        config_file_ = flag.value;
      else
        flags_.push_back(std::move(flag));
    }
    return {};
  }

  [[nodiscard]] bool takes_value(std::string_view flag) const {
    if (flag == kConfigFlag) return true;
    const auto index = schema_.find_flag(flag);
    return index && schema_.options()[*index].type != OptionType::boolean;
  }

  Expected<void> load_file() {
    if (sources_.file) return load_map(*sources_.file, sources_.file_name, "");
    std::string path = config_file_.value_or("");
    if (path.empty())
      for (const auto& [key, value] : sources_.environment)
        if (key == kConfigVariable) path = value;
    if (path.empty()) return {};
    auto root = read_yaml(path);
    if (!root) return tl::unexpected<Error>(std::move(root.error()));
    return load_map(*root, path, "");
  }

  Expected<void> load_map(const YamlNode& node, const std::string& file, const std::string& prefix) {
    const std::string place = file + ":" + std::to_string(node.line);
    if (node.kind == YamlNode::Kind::null) return {};
    if (node.kind != YamlNode::Kind::map)
      return invalid(place + ": found a " +
                     std::string(node.kind == YamlNode::Kind::list ? "list" : "single value") +
                     (prefix.empty() ? " at the top" : " in " + prefix) + ", expected key: value lines");
    for (const auto& [key, child] : node.fields) {
      const std::string name = prefix.empty() ? key : prefix + "." + key;
      const std::string here = file + ":" + std::to_string(child.line);
      if (const auto index = schema_.find(name)) {
        TROUPE_TRY(load_leaf(*index, child, here));
      } else if (is_group(name)) {
        TROUPE_TRY(load_map(child, file, name));
      } else {
        return invalid(here + ": unknown key " + name + did_you_mean(name, schema_.names()));
      }
    }
    return {};
  }

  [[nodiscard]] bool is_group(const std::string& name) const {
    for (const std::string& known : schema_.names())
      if (known.size() > name.size() && known.starts_with(name) && known[name.size()] == '.') return true;
    return false;
  }

  Expected<void> load_leaf(std::size_t index, const YamlNode& node, const std::string& place) {
    const Option& option = schema_.options()[index];
    if (node.kind == YamlNode::Kind::list && option.type == OptionType::text_list) {
      TextList list;
      for (const YamlNode& item : node.items) {
        if (item.kind != YamlNode::Kind::scalar)
          return invalid(place + ": " + std::string(option.name) + ": expected a list of words");
        list.push_back(item.text);
      }
      assign(index, Value(std::move(list)), Origin::file, place);
      return {};
    }
    if (node.kind == YamlNode::Kind::list || node.kind == YamlNode::Kind::map)
      return invalid(place + ": " + std::string(option.name) + ": found several values, expected one " +
                     std::string(name(option.type)));
    return assign_text(index, node.text, Origin::file, place);
  }

  Expected<void> load_environment() {
    for (const auto& [key, value] : sources_.environment) {
      if (!key.starts_with(kPrefix) || key == kConfigVariable || schema_.is_foreign_variable(key)) continue;
      if (const auto secret = secret_of_file_variable(key)) {
        TROUPE_TRY(load_secret(*secret, key, value));
        continue;
      }
      const auto index = schema_.find_variable(key);
      if (!index)
        return invalid("unknown environment variable " + key + did_you_mean(key, schema_.variables()));
      TROUPE_TRY(assign_text(*index, value, Origin::environment, key));
    }
    return {};
  }

  /// TROUPE_X_FILE where TROUPE_X is a secret.
  [[nodiscard]] std::optional<std::size_t> secret_of_file_variable(std::string_view key) const {
    if (!key.ends_with(kSecretFileSuffix)) return std::nullopt;
    const auto index = schema_.find_variable(key.substr(0, key.size() - kSecretFileSuffix.size()));
    if (!index || !schema_.options()[*index].secret) return std::nullopt;
    return index;
  }

  /// The file's first line. What is in it appears in no error.
  Expected<void> load_secret(std::size_t index, const std::string& key, const std::string& path) {
    const std::string variable = environment_name(schema_.options()[index].name);
    for (const auto& [other, value] : sources_.environment)
      if (other == variable) return invalid("found both " + variable + " and " + key + ", expected one of them");
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (!file || (!std::getline(file, line) && !file.eof())) return fail(Errc::file_not_found, key + ": " + path + " cannot be read");
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.size() > kLargestSecret)
      return invalid(key + ": the first line of " + path + " has " + std::to_string(line.size()) + " bytes, expected 1 to " +
                     std::to_string(kLargestSecret));
    return assign_text(index, line, Origin::environment, key);
  }

  Expected<void> load_flags() {
    for (const Flag& flag : flags_) {
      if (const auto index = schema_.find_flag(flag.name)) {
        TROUPE_TRY(check_role(*index, flag.name));
        TROUPE_TRY(assign_flag(*index, flag.value.value_or("true"), flag.name));
      } else if (const auto negated = negated_boolean(flag)) {
        TROUPE_TRY(check_role(*negated, flag.name));
        TROUPE_TRY(assign_text(*negated, "false", Origin::flag, flag.name));
      } else {
        return invalid("unknown flag " + flag.name + did_you_mean(flag.name, schema_.flags()));
      }
    }
    return {};
  }

  [[nodiscard]] std::optional<std::size_t> negated_boolean(const Flag& flag) const {
    if (flag.value || !flag.name.starts_with("--no-")) return std::nullopt;
    const auto index = schema_.find_flag("--" + flag.name.substr(5));
    if (!index || schema_.options()[*index].type != OptionType::boolean) return std::nullopt;
    return index;
  }

  Expected<void> check_role(std::size_t index, const std::string& flag) const {
    if (sources_.role.empty()) return {};
    const auto role = role_set(sources_.role);
    if (!role) return tl::unexpected<Error>(role.error());
    const RoleSet users = schema_.options()[index].roles;
    if ((users & *role) != 0) return {};
    return invalid(flag + ": " + sources_.role + " does not use it (" + role_names(users) + " do)");
  }

  /// A list's flag may repeat: the first replaces what weaker sources said, the others append.
  Expected<void> assign_flag(std::size_t index, const std::string& text, const std::string& flag) {
    const bool append = schema_.options()[index].type == OptionType::text_list &&
                        config_.provenance_[index].origin == Origin::flag;
    Value before = config_.values_[index];
    TROUPE_TRY(assign_text(index, text, Origin::flag, flag));
    if (append) {
      auto& joined = std::get<TextList>(before);
      for (std::string& item : std::get<TextList>(config_.values_[index])) joined.push_back(std::move(item));
      config_.values_[index] = std::move(before);
    }
    return {};
  }

  Expected<void> assign_text(std::size_t index, std::string_view text, Origin origin,
                             const std::string& place) {
    auto value = schema_.parse(index, text);
    if (!value) return at(place, value.error());
    assign(index, std::move(*value), origin, place);
    return {};
  }

  void assign(std::size_t index, Value value, Origin origin, const std::string& place) {
    config_.values_[index] = std::move(value);
    config_.provenance_[index] = Provenance{origin, place};
  }

  Config& config_;
  const Schema& schema_;
  const ConfigSources& sources_;
  std::vector<Flag> flags_;
  std::optional<std::string> config_file_;
};

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

Config::Config(const Schema& schema) : schema_(&schema), provenance_(schema.options().size()) {
  for (std::size_t i = 0; i < schema.options().size(); ++i) values_.push_back(schema.default_value(i));
}

Expected<Config> Config::load(const Schema& schema, const ConfigSources& sources) {
  Config config(schema);
  TROUPE_TRY(ConfigLoader(config, sources).run());
  return config;
}

std::size_t Config::index_of(std::string_view name) const {
  const auto index = schema_->find(name);
  TROUPE_CHECK(index.has_value(), name);
  return *index;
}

template <class T>
const T& Config::get(std::string_view name) const {
  const T* value = std::get_if<T>(&values_[index_of(name)]);
  TROUPE_CHECK(value != nullptr, name);
  return *value;
}

bool Config::boolean(std::string_view name) const {
  return get<bool>(name);
}
std::int64_t Config::integer(std::string_view name) const {
  return get<std::int64_t>(name);
}
double Config::real(std::string_view name) const {
  return get<double>(name);
}
const std::string& Config::text(std::string_view name) const {
  return get<std::string>(name);
}
std::uint64_t Config::bytes(std::string_view name) const {
  return get<ByteCount>(name).value;
}
Duration Config::duration(std::string_view name) const {
  return get<Duration>(name);
}
const TextList& Config::list(std::string_view name) const {
  return get<TextList>(name);
}
const Provenance& Config::provenance(std::string_view name) const {
  return provenance_[index_of(name)];
}

Expected<void> Config::set(std::string_view name, std::string_view text) {
  const auto index = schema_->find(name);
  if (!index) return invalid("unknown option " + std::string(name) + did_you_mean(name, schema_->names()));
  auto value = schema_->parse(*index, text);
  if (!value) return tl::unexpected<Error>(std::move(value.error()));
  values_[*index] = std::move(*value);
  provenance_[*index] = Provenance{Origin::flag, flag_name(name)};
  return {};
}

std::vector<std::string> Config::to_flags(RoleSet roles) const {
  std::vector<std::string> flags;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const Option& option = schema_->options()[i];
    if ((option.roles & roles) == 0 || provenance_[i].origin == Origin::default_value || option.secret) continue;
    flags.push_back(flag_name(option.name) + "=" + format_value(values_[i]));
  }
  return flags;
}

std::vector<std::pair<std::string, std::string>> Config::secrets() const {
  std::vector<std::pair<std::string, std::string>> found;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const Option& option = schema_->options()[i];
    if (option.secret && provenance_[i].origin != Origin::default_value)
      found.emplace_back(environment_name(option.name), format_value(values_[i]));
  }
  return found;
}

}  // namespace troupe
