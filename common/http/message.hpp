#pragma once
// What both clients of HTTP/1.1 write and read: URLs, a request's bytes, an answer's header (RFC 9110, 9112).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.hpp"

namespace troupe {

struct Url {
  std::string host;
  std::uint16_t port = 80;
  std::string path;  ///< begins with "/"; no trailing one unless alone
  bool secure = false;  ///< https
};

/// http://host[:port][/path], also with [ipv6]. Errors: invalid_argument (also for https).
[[nodiscard]] Expected<Url> parse_url(std::string_view text);
/// The same, or https://, whose port is 443 where none is given.
[[nodiscard]] Expected<Url> parse_any_url(std::string_view text);
/// "host:port"
[[nodiscard]] std::string place(const Url& url);
/// The path below the URL's own: "/v1" and "/models" give "/v1/models".
[[nodiscard]] std::string path_below(const Url& url, std::string_view path);

struct HttpRequest {
  std::string method = "GET";
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// The request as sent to `url`'s host; `keep` asks the server to leave the connection open.
[[nodiscard]] std::string request_text(const Url& url, const HttpRequest& request, bool keep);

inline constexpr std::size_t kLargestHead = 64U << 10;  ///< bytes of an answer's header

struct HttpHead {
  int status = 0;
  bool http_1_0 = false;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  bool chunked = false;
  std::optional<std::uint64_t> length;  ///< of Content-Length, when not chunked

  /// "" when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  /// The connection may carry another request after this answer.
  [[nodiscard]] bool keeps_connection() const;
};

/// `text` ends with the last header line's CRLF. Errors: wire_malformed.
[[nodiscard]] Expected<HttpHead> parse_head(std::string_view text);

}  // namespace troupe
