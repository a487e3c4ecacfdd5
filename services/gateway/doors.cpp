#include "services/gateway/doors.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "services/gateway/owner.hpp"

namespace troupe::gateway {
namespace {

constexpr std::array<std::string_view, 2> kCredentials{"Authorization", "x-api-key"};
// Programs take the first, browsers the second: a person is asked for a name, which may be any, and the key.
constexpr std::string_view kBearer = "Bearer realm=\"troupe\"";
constexpr std::string_view kBasic = "Basic realm=\"troupe\", charset=\"UTF-8\"";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

/// What follows the scheme; nothing when it is another scheme.
std::string_view after_scheme(std::string_view authorization, std::string_view scheme) {
  if (authorization.size() <= scheme.size() || authorization[scheme.size()] != ' ' ||
      !same_word(authorization.substr(0, scheme.size()), scheme))
    return {};
  authorization.remove_prefix(scheme.size());
  const auto from = authorization.find_first_not_of(' ');
  if (from == std::string_view::npos) return {};
  return authorization.substr(from, authorization.find_last_not_of(' ') - from + 1);
}

/// Up to the first character that does not belong to it.
std::string from_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0, held = 0;
  for (const char c : text) {
    const auto value = kDigits.find(c);
    if (value == std::string_view::npos) break;
    bits = ((bits << 6U) | static_cast<unsigned>(value)) & 0xffffffU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>((bits >> held) & 0xffU);
  }
  return out;
}

ApiError refused(Errc code, std::string message, std::string_view challenge) {
  ApiError error = to_api(Error{code, std::move(message)});
  error.headers.push_back({"WWW-Authenticate", std::string(kBearer) + std::string(challenge)});
  return error;
}

}  // namespace

std::string secret_in(std::string_view authorization) {
  if (const auto bearer = after_scheme(authorization, "Bearer"); !bearer.empty()) return std::string(bearer);
  const std::string pair = from_base64(after_scheme(authorization, "Basic"));
  const auto colon = pair.find(':');
  return colon == std::string::npos ? std::string() : pair.substr(colon + 1);
}

Caller take_caller(Request& request, const KeyRing* ring) {
  const std::string authorization(request.header(kCredentials[0])), key(request.header(kCredentials[1]));
  std::erase_if(request.headers, [](const Header& field) {
    return std::ranges::any_of(kCredentials,
                               [&](std::string_view name) { return same_word(field.name, name); });
  });
  Caller caller;
  caller.showed = !authorization.empty() || !key.empty();
  // Both ways to show a key are the same client.
  const std::string shown = authorization.empty() && !key.empty() ? "Bearer " + key : authorization;
  caller.owner = owner_of(shown);
  caller.tenant = tenant_of(shown);
  if (ring == nullptr) return caller;
  for (const std::string& secret : {secret_in(authorization), key}) {
    if (secret.empty()) continue;
    caller.key = ring->find(secret);
    if (!caller.key) continue;
    caller.owner = owner_of("Bearer " + secret);
    caller.tenant = caller.key->key.tenant;
    break;
  }
  return caller;
}

std::optional<ApiError> refusal(const Caller& caller, Door door, bool keys) {
  if (!keys || door == Door::open) return std::nullopt;
  if (!caller.key) {
    ApiError error = caller.showed ? refused(Errc::invalid_api_key, "Incorrect API key provided.",
                                             ", error=\"invalid_token\"")
                                   : refused(Errc::invalid_api_key,
                                             "You didn't provide an API key: send it as \"Authorization: "
                                             "Bearer KEY\" or \"x-api-key: KEY\".",
                                             "");
    if (door == Door::admin) error.headers.push_back({"WWW-Authenticate", std::string(kBasic)});
    return error;
  }
  const ApiKey& key = caller.key->key;
  if (door == Door::admin ? key.admin : key.inference) return std::nullopt;
  const std::string scope = door == Door::admin ? "admin" : "inference";
  return refused(Errc::insufficient_permissions, "This API key lacks the scope \"" + scope + "\".",
                 ", error=\"insufficient_scope\", scope=\"" + scope + "\"");
}

ApiError to_api(const LimitRefusal& refusal) {
  constexpr std::array<std::string_view, 3> kUnits{" requests per minute", " tokens per minute",
                                                   " requests at a time"};
  const bool never = refusal.wanted > refusal.most;
  ApiError error = to_api(Error{Errc::rate_limit_exceeded, {}});
  error.message =
      std::string(never ? "The request is too large" : "Rate limit reached") + ": this key may " +
      std::to_string(refusal.most) + std::string(kUnits[static_cast<std::size_t>(refusal.limit)]) +
      (refusal.limit == KeyLimit::tokens
           ? ", this request asks for " + std::to_string(refusal.wanted) + " with its longest answer"
           : "") +
      ".";
  if (never) {
    error.retry_after_seconds = 0;
    error.headers.push_back({"x-should-retry", "false"});  // OpenAI's clients obey it
  } else {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(refusal.wait).count();
    error.retry_after_seconds = static_cast<int>(std::max<std::int64_t>(1, seconds));
  }
  return error;
}

}  // namespace troupe::gateway
