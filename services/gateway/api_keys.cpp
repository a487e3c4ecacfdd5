#include "services/gateway/api_keys.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "common/base/ids.hpp"
#include "common/config/edit_distance.hpp"
#include "common/config/yaml.hpp"
#include "services/gateway/rate_bucket.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kHashPrefix = "sha256:";
constexpr std::size_t kLongestName = 64;
constexpr std::uint64_t kMostConcurrent = 1'000'000;

/// Reads one entry; the first thing that is wrong is kept.
class EntryReader {
 public:
  EntryReader(const YamlNode& node, std::string_view file) : node_(node), file_(file) {}

  Expected<ApiKey> read() {
    if (node_.kind != YamlNode::Kind::map) return error(node_, "expected a key: name, hash and what it may");
    ApiKey key;
    for (const auto& [name, value] : node_.fields) TROUPE_TRY(read_field(key, name, value));
    if (key.name.empty()) return error(node_, "a key without a name");
    if (!hashed_) return error(node_, "a key without its hash");
    if (key.tenant.empty()) key.tenant = key.name;
    // Clients that show no key, and those of gateways without keys, have these.
    if (key.tenant == "default" || key.tenant.starts_with("key-"))
      return error(node_,
                   "a tenant (without one: a name) that is \"default\" or begins with \"key-\": "
                   "clients without keys are called so");
    return key;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> error(const YamlNode& at, std::string_view what) const {
    return fail(Errc::config_invalid,
                std::string(file_) + ":" + std::to_string(at.line) + ": " + std::string(what));
  }

  Expected<void> read_field(ApiKey& key, const std::string& name, const YamlNode& value) {
    if (name == "name") return read_name(value, key.name, "name");
    if (name == "tenant") return read_name(value, key.tenant, "tenant");
    if (name == "hash") return read_hash(value, key.hash);
    if (name == "scopes") return read_scopes(value, key);
    if (name == "models") return read_models(value, key.models);
    if (name == "requests_per_minute")
      return read_number(value, key.rates.requests_per_minute, RateBucket::kMostPerMinute, name);
    if (name == "tokens_per_minute")
      return read_number(value, key.rates.tokens_per_minute, RateBucket::kMostPerMinute, name);
    if (name == "concurrent_requests")
      return read_number(value, key.rates.concurrent_requests, kMostConcurrent, name);
    static const std::vector<std::string> kKnown{"name",
                                                 "hash",
                                                 "tenant",
                                                 "scopes",
                                                 "models",
                                                 "requests_per_minute",
                                                 "tokens_per_minute",
                                                 "concurrent_requests"};
    return error(value, "unknown field" + did_you_mean(name, kKnown));
  }

  Expected<void> read_name(const YamlNode& value, std::string& to, std::string_view what) const {
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '_' || c == '.';
    };
    if (value.kind != YamlNode::Kind::scalar || value.text.empty() || value.text.size() > kLongestName ||
        !std::ranges::all_of(value.text, plain))
      return error(value, std::string(what) + ": expected 1 to 64 letters, digits, '-', '_' and '.'");
    to = value.text;
    return {};
  }

  Expected<void> read_hash(const YamlNode& value, security::Digest& to) {
    const std::string_view text = value.text;
    const auto digest = text.starts_with(kHashPrefix)
                            ? security::digest_from_hex(text.substr(kHashPrefix.size()))
                            : std::nullopt;
    if (!digest) return error(value, "hash: expected sha256: and 64 hexadecimal digits, and never the key");
    to = *digest;
    hashed_ = true;
    return {};
  }

  Expected<void> read_scopes(const YamlNode& value, ApiKey& key) const {
    key.inference = key.admin = false;
    for (const YamlNode& item : value.items) {
      if (item.text == "inference") {
        key.inference = true;
      } else if (item.text == "admin") {
        key.admin = true;
      } else {
        return error(item, "scopes: expected inference or admin");
      }
    }
    if (!key.inference && !key.admin) return error(value, "scopes: expected a list of inference and admin");
    return {};
  }

  Expected<void> read_models(const YamlNode& value, std::vector<std::string>& to) const {
    // An empty list would read as "none" and mean "all".
    if (value.kind != YamlNode::Kind::list || value.items.empty())
      return error(value, "models: expected a list of names; without it a key may use all");
    for (const YamlNode& item : value.items) {
      if (item.kind != YamlNode::Kind::scalar || item.text.empty())
        return error(item, "models: expected a name");
      to.push_back(item.text);
    }
    return {};
  }

  Expected<void> read_number(const YamlNode& value, std::uint64_t& to, std::uint64_t most,
                             std::string_view name) const {
    std::uint64_t number = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [stop, failed] = std::from_chars(value.text.data(), end, number);
    if (value.kind != YamlNode::Kind::scalar || failed != std::errc() || stop != end || number < 1 ||
        number > most)
      return error(value, std::string(name) + ": expected a number from 1 to " + std::to_string(most));
    to = number;
    return {};
  }

  const YamlNode& node_;
  const std::string_view file_;
  bool hashed_ = false;
};

void append_list(std::string& out, std::string_view field, const std::vector<std::string>& values) {
  out.append("    ").append(field).append(": [");
  for (const std::string& value : values) {
    if (!out.ends_with('[')) out += ", ";
    out += yaml_quote(value);
  }
  out += "]\n";
}

void append_rate(std::string& out, std::string_view field, std::uint64_t value) {
  if (value != 0) out.append("    ").append(field).append(": ").append(std::to_string(value)).append("\n");
}

}  // namespace

bool ApiKey::may_use(std::string_view model) const {
  return models.empty() || std::ranges::find(models, model) != models.end();
}

Expected<std::vector<ApiKey>> parse_api_keys(std::string_view text, std::string_view file) {
  const auto root = parse_yaml(text, file);
  if (!root) return tl::unexpected<Error>(root.error());
  const YamlNode* const list = root->field("keys");
  const std::string place(file);
  if (root->fields.size() != 1 || list == nullptr || list->kind != YamlNode::Kind::list)
    return fail(Errc::config_invalid, place + ": expected \"keys:\" and a list, and nothing else");
  if (list->items.size() > kMostApiKeys)
    return fail(Errc::config_invalid, place + ": more than " + std::to_string(kMostApiKeys) + " keys");
  std::vector<ApiKey> keys;
  std::set<std::string> names;
  std::set<security::Digest> hashes;
  for (const YamlNode& item : list->items) {
    auto key = EntryReader(item, file).read();
    if (!key) return tl::unexpected<Error>(std::move(key.error()));
    if (!names.insert(key->name).second || !hashes.insert(key->hash).second)
      return fail(Errc::config_invalid,
                  place + ":" + std::to_string(item.line) + ": name or hash of an earlier key");
    keys.push_back(std::move(*key));
  }
  return keys;
}

std::string entry_text(const ApiKey& key) {
  std::string out = "  - name: " + yaml_quote(key.name) + "\n    hash: " + std::string(kHashPrefix) +
                    security::to_hex(key.hash) + "\n";
  if (!key.tenant.empty() && key.tenant != key.name)
    out.append("    tenant: ").append(yaml_quote(key.tenant)).append("\n");
  std::vector<std::string> scopes;
  if (key.inference) scopes.emplace_back("inference");
  if (key.admin) scopes.emplace_back("admin");
  append_list(out, "scopes", scopes);
  if (!key.models.empty()) append_list(out, "models", key.models);
  append_rate(out, "requests_per_minute", key.rates.requests_per_minute);
  append_rate(out, "tokens_per_minute", key.rates.tokens_per_minute);
  append_rate(out, "concurrent_requests", key.rates.concurrent_requests);
  return out;
}

std::string make_api_key() {
  return "sk-troupe-" + to_hex(random_id<RequestId>()) + to_hex(random_id<RequestId>());
}

}  // namespace troupe::gateway
