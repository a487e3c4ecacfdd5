#pragma once
// Keys of the HTTP API as a file lists them: who may do what with which models, and how much of it. The file
// holds hashes: who reads it cannot ask in anybody's name.
//
//   keys:
//     - name: alice                    # in the audit log; nobody else's
//       hash: sha256:9f86d0...         # of the key
//       tenant: team-a                 # whose cached prompts it finds; absent: its own
//       scopes: [inference, admin]     # absent: inference
//       models: [smollm2-135m]         # absent: all
//       requests_per_minute: 60        # absent: no limit, as the next two
//       tokens_per_minute: 20000
//       concurrent_requests: 4
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.hpp"
#include "common/security/digest.hpp"

namespace troupe::gateway {

inline constexpr std::size_t kMostApiKeys = 1000;
inline constexpr std::size_t kLargestApiKeyFile = 1U << 20;

/// 0: no limit.
struct KeyRates {
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  std::uint64_t concurrent_requests = 0;
  bool operator==(const KeyRates&) const = default;
};

struct ApiKey {
  std::string name;
  security::Digest hash{};
  std::string tenant;
  bool inference = true;            ///< may ask for answers
  bool admin = false;               ///< may see and operate the cluster
  std::vector<std::string> models;  ///< empty: all
  KeyRates rates;

  [[nodiscard]] bool may_use(std::string_view model) const;
};

/// `file` is used in errors, which never quote a value: it might be a key. Errors: config_invalid with file,
/// line and what was expected.
[[nodiscard]] Expected<std::vector<ApiKey>> parse_api_keys(std::string_view text, std::string_view file);
/// What a list must hold for parse_api_keys() to give this key back, as one entry of it.
[[nodiscard]] std::string entry_text(const ApiKey& key);

/// A key that nobody can guess: "sk-troupe-" and 256 random bits in hexadecimal digits.
[[nodiscard]] std::string make_api_key();

}  // namespace troupe::gateway
