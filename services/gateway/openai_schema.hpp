#pragma once
// Every JSON field of the API, once: its name, the requests that take it, its type and bounds, and what
// becomes of it. Only what would change the answer and is not done is refused; null, empty and default values
// are always accepted.
#include <cstdint>
#include <span>
#include <string_view>

#include "services/gateway/json_reader.hpp"

namespace troupe::gateway {

/// Requests that take a field; a sum.
using Endpoints = std::uint32_t;
inline constexpr Endpoints kChat = 1, kCompletions = 2, kTokenize = 4, kDetokenize = 8, kMessage = 16,
                           kStreamOptions = 32, kTroupe = 64, kSpeculation = 128, kResponseFormat = 256,
                           kJsonSchema = 512, kStructured = 1024, kTool = 2048, kFunction = 4096,
                           kToolChoice = 8192, kNamedFunction = 16384, kToolCall = 32768,
                           kCalledFunction = 65536, kBeam = 131072, kSuperposed = 262144, kPrediction = 1 << 28;
inline constexpr Endpoints kGenerate = kChat | kCompletions;
inline constexpr Endpoints kEmbeddings = 1u << 24, kRerank = 1u << 25, kScore = 1u << 26, kTroupeVectors = 1u << 27;
inline constexpr Endpoints kVectors = kEmbeddings | kRerank | kScore;

/// JSON types a field may have; a sum. null is always allowed and means absent.
using JsonTypes = std::uint8_t;
inline constexpr JsonTypes kBoolean = 1, kInteger = 2, kNumber = 4, kString = 8, kObject = 16, kArray = 32;

enum class Policy : std::uint8_t {
  used,          ///< read by the request parsers
  ignored,       ///< accepted: it does not change the answer
  only_default,  ///< would change the answer and is not done: any value but `neutral` is refused
};

struct Field {
  std::string_view name;
  Endpoints where;
  JsonTypes types;
  Policy policy = Policy::used;
  double minimum = 0;  ///< of numbers; bounds hold when minimum < maximum
  double maximum = 0;
  std::string_view neutral = {};  ///< JSON texts, separated by '|', that mean the default
};

[[nodiscard]] std::span<const Field> fields();

/// Checks an object's keys, types and bounds against the table. `path` prefixes `param`: "messages[0]." or
/// "". Errors: unknown_parameter, unsupported_parameter, invalid_type, invalid_value.
[[nodiscard]] Parsed<void> check_fields(const Json& object, Endpoints where, std::string_view path);
/// What becomes of keys that a table does not have.
enum class UnknownKeys : std::uint8_t { refused, ignored };
/// The same against the table of an API that has one of its own.
[[nodiscard]] Parsed<void> check_fields(std::span<const Field> table, const Json& object, Endpoints where,
                                        std::string_view path, UnknownKeys unknown = UnknownKeys::refused);
/// Whether requests of `where` take this field.
[[nodiscard]] bool has_field(std::string_view name, Endpoints where);

/// The value of a key, or nullptr when absent or null.
[[nodiscard]] const Json* find_value(const Json& object, std::string_view key);

}  // namespace troupe::gateway
