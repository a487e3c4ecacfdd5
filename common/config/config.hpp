#pragma once
// The values of a Schema's options: flag over environment over YAML file over default. Nothing else in Troupe
// reads any of them.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/schema.hpp"
#include "common/config/yaml.hpp"

namespace troupe {

/// Where a value came from; a later one is stronger.
enum class Origin : std::uint8_t { default_value, file, environment, flag };

struct Provenance {
  Origin origin = Origin::default_value;
  std::string place;  ///< "troupe.yaml:12", "TROUPE_HTTP_PORT", "--http-port"; "" for a default
};

/// TROUPE_X_FILE names a file whose first line is the secret TROUPE_X: how Docker, Kubernetes and systemd hand secrets out.
inline constexpr std::string_view kSecretFileSuffix = "_FILE";

/// What load() reads. `environment` is every variable of the process; only TROUPE_* are looked at.
struct ConfigSources {
  std::vector<std::string> arguments;  ///< without program and subcommand
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<YamlNode> file;    ///< an already parsed file; otherwise --config or TROUPE_CONFIG names one
  std::string file_name = "file";  ///< how errors call `file`
  std::string role;                ///< when given, a flag this role does not use is an error
};

/// The process's environment as pairs.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> process_environment();

class Config {
 public:
  explicit Config(const Schema& schema);  ///< all defaults; the schema must outlive it

  /// Reads every source. Flags: --name value, --name=value, --name and --no-name for booleans; a list's flag
  /// may repeat. What is no flag goes to positionals(), as does all after "--". Errors: config_invalid (an
  /// unknown name suggests the nearest), file_not_found.
  [[nodiscard]] static Expected<Config> load(const Schema& schema, const ConfigSources& sources);

  [[nodiscard]] const Schema& schema() const { return *schema_; }
  [[nodiscard]] const std::vector<std::string>& positionals() const { return positionals_; }

  /// Typed reads. A name outside the schema or of another type is a programmer's fault and ends the process.
  [[nodiscard]] bool boolean(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  [[nodiscard]] double real(std::string_view name) const;
  [[nodiscard]] const std::string& text(std::string_view name) const;  ///< also of a choice
  [[nodiscard]] std::uint64_t bytes(std::string_view name) const;
  [[nodiscard]] Duration duration(std::string_view name) const;
  [[nodiscard]] const TextList& list(std::string_view name) const;

  [[nodiscard]] const Value& value(std::size_t index) const { return values_[index]; }
  [[nodiscard]] const Provenance& provenance(std::size_t index) const { return provenance_[index]; }
  [[nodiscard]] const Provenance& provenance(std::string_view name) const;

  /// Sets one option as if by a flag. Errors: config_invalid.
  [[nodiscard]] Expected<void> set(std::string_view name, std::string_view text);

  /// The flags that give another process the same values: every option of `roles` that does not come from its
  /// default.
  [[nodiscard]] std::vector<std::string> to_flags(RoleSet roles) const;
  /// Secrets that were given, as environment variables: a command line is for everyone to read.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> secrets() const;

 private:
  friend class ConfigLoader;
  [[nodiscard]] std::size_t index_of(std::string_view name) const;
  template <class T>
  [[nodiscard]] const T& get(std::string_view name) const;

  const Schema* schema_;
  std::vector<Value> values_;
  std::vector<Provenance> provenance_;
  std::vector<std::string> positionals_;
};

}  // namespace troupe
