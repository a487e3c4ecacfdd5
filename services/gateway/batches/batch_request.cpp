#include "services/gateway/batches/batch_request.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "services/gateway/json_reader.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

constexpr std::array<std::string_view, 2> kEndpoints{"/v1/chat/completions", "/v1/completions"};
constexpr std::size_t kMostMetadata = 16, kLongestMetadataKey = 64,
                      kLongestMetadataValue = 512;  // characters
constexpr std::int64_t kShortestLife = 3600, kLongestLife = 30LL * 24 * 3600;

constexpr std::array kFields{
    Field{"input_file_id", kBatch, kString},
    Field{"endpoint", kBatch, kString},
    Field{"completion_window", kBatch, kString},
    Field{"metadata", kBatch, kObject},
    Field{"output_expires_after", kBatch, kObject},
    Field{"anchor", kExpiry, kString},
    Field{"seconds", kExpiry, kInteger, Policy::used, kShortestLife, kLongestLife},
};

Parsed<std::string> text_of(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null())
    return refuse("missing_required_parameter", key, "Missing required parameter: '" + key + "'.");
  if (!found->is_string())
    return refuse("invalid_type", key, key + ": expected a string, found " + describe(*found));
  return found->get<std::string>();
}

Parsed<std::string> endpoint_of(const Json& object) {
  auto endpoint = text_of(object, "endpoint");
  if (!endpoint || std::ranges::find(kEndpoints, *endpoint) != kEndpoints.end()) return endpoint;
  return refuse("invalid_value", "endpoint",
                "endpoint: expected one of /v1/chat/completions, /v1/completions");
}

Parsed<std::string> metadata_of(const Json& object) {
  const auto found = object.find("metadata");
  if (found == object.end() || found->is_null()) return "null";
  if (!found->is_object())
    return refuse("invalid_type", "metadata", "metadata: expected an object, found " + describe(*found));
  if (found->size() > kMostMetadata)
    return refuse("invalid_value", "metadata", "metadata: expected at most 16 pairs");
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string())
      return refuse("invalid_type", "metadata", "metadata: expected strings, found " + describe(value));
    if (count_characters(key) > kLongestMetadataKey ||
        count_characters(value.get_ref<const std::string&>()) > kLongestMetadataValue)
      return refuse("invalid_value", "metadata",
                    "metadata: keys have at most 64 characters, values at most 512");
  }
  return found->dump();
}

Parsed<std::int64_t> output_lifetime_of(const Json& object) {
  const auto found = object.find("output_expires_after");
  if (found == object.end() || found->is_null()) return kLongestLife;
  const std::string name = "output_expires_after";
  if (!found->is_object())
    return refuse("invalid_type", name, name + ": expected an object, found " + describe(*found));
  const auto anchor = text_of(*found, "anchor");
  if (!anchor || *anchor != "created_at")
    return refuse("invalid_value", name + ".anchor", name + ".anchor: expected 'created_at'");
  const auto seconds = found->find("seconds");
  const std::int64_t value =
      seconds != found->end() && seconds->is_number_integer() ? seconds->get<std::int64_t>() : 0;
  if (value < kShortestLife || value > kLongestLife)
    return refuse("invalid_value", name + ".seconds",
                  name + ".seconds: expected a number from 3600 to 2592000");
  return value;
}

Parsed<void> check_names(const Json& object) {
  const auto is_known = [](const std::string& key) {
    return std::ranges::any_of(
        kFields, [&](const Field& field) { return (field.where & kBatch) != 0 && field.name == key; });
  };
  for (const auto& [key, value] : object.items())
    if (!is_known(key)) return refuse("unknown_parameter", key, "Unknown parameter: '" + key + "'.");
  return {};
}

/// The value of a query's parameter; nothing where it is not there.
std::optional<std::string> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
      return percent_decoded(part.substr(name.size() + 1));
  }
  return std::nullopt;
}

}  // namespace

std::span<const Field> batch_fields() {
  return kFields;
}

Parsed<Batch> parse_batch(std::string_view body) {
  const auto object = read_json(body);
  if (!object) return tl::unexpected<ApiError>(object.error());
  if (!object->is_object())
    return refuse("invalid_type", "", "the body: expected an object, found " + describe(*object));
  if (auto known = check_names(*object); !known) return tl::unexpected<ApiError>(std::move(known.error()));
  Batch batch;
  const auto file = text_of(*object, "input_file_id");
  const auto endpoint = endpoint_of(*object);
  const auto window = text_of(*object, "completion_window");
  const auto metadata = metadata_of(*object);
  for (const auto* part : {&file, &endpoint, &window, &metadata})
    if (!*part) return tl::unexpected<ApiError>(part->error());
  if (*window != "24h")
    return refuse("invalid_value", "completion_window", "completion_window: expected '24h'");
  const auto lifetime = output_lifetime_of(*object);
  if (!lifetime) return tl::unexpected<ApiError>(lifetime.error());
  batch.input_file = *file;
  batch.endpoint = *endpoint;
  batch.metadata = *metadata;
  batch.output_lifetime = *lifetime;
  return batch;
}

Parsed<PageAsked> parse_page(std::string_view query, std::int64_t usual_limit, std::int64_t most) {
  PageAsked page;
  page.limit = usual_limit;
  if (const auto limit = parameter(query, "limit")) {
    const auto [end, error] = std::from_chars(limit->data(), limit->data() + limit->size(), page.limit);
    if (error != std::errc() || end != limit->data() + limit->size() || page.limit < 1 || page.limit > most)
      return refuse("invalid_value", "limit", "limit: expected a number from 1 to " + std::to_string(most));
  }
  page.after = parameter(query, "after").value_or("");
  page.purpose = parameter(query, "purpose").value_or("");
  if (const auto order = parameter(query, "order")) {
    if (*order != "asc" && *order != "desc")
      return refuse("invalid_value", "order", "order: expected asc or desc");
    page.newest_first = *order == "desc";
  }
  return page;
}

}  // namespace troupe::gateway
