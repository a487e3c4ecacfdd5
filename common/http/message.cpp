#include "common/http/message.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace troupe {
namespace {

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string place(const Url& url) {
  return url.host + ":" + std::to_string(url.port);
}

std::string path_below(const Url& url, std::string_view path) {
  return url.path == "/" ? std::string(path) : url.path + std::string(path);
}

std::string request_text(const Url& url, const HttpRequest& request, bool keep) {
  const bool ipv6 = url.host.find(':') != std::string::npos;
  std::string text = request.method + " " + request.path + " HTTP/1.1\r\nHost: ";
  text.append(ipv6 ? "[" : "")
      .append(url.host)
      .append(ipv6 ? "]" : "")
      .append(":")
      .append(std::to_string(url.port));
  text += keep ? "\r\n" : "\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers)
    text.append(name).append(": ").append(value).append("\r\n");
  if (!request.body.empty()) text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

namespace {

Expected<Url> parse(std::string_view text, bool secure) {
  const std::string_view scheme = secure ? "https://" : "http://";
  const auto bad = [&] {
    return fail(Errc::invalid_argument, "found \"" + std::string(text.substr(0, 200)) + "\", expected " +
                                            std::string(scheme) + "host[:port][/path]");
  };
  if (!text.starts_with(scheme) ||
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; }))
    return bad();
  std::string_view rest = text.substr(scheme.size());
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  Url url;
  url.path = path;
  url.secure = secure;
  if (secure) url.port = 443;
  std::size_t colon = authority.rfind(':');
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad();
    url.host = authority.substr(1, close - 1);
    colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && authority[colon] != ':') return bad();
  } else {
    url.host = authority.substr(0, colon);
  }
  if (colon != std::string_view::npos &&
      (!parse_number(authority.substr(colon + 1), url.port) || url.port == 0))
    return bad();
  if (url.host.empty()) return bad();
  return url;
}

}  // namespace

Expected<Url> parse_url(std::string_view text) {
  return parse(text, false);
}

Expected<Url> parse_any_url(std::string_view text) {
  return parse(text, text.starts_with("https://"));
}

std::string_view HttpHead::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

bool HttpHead::keeps_connection() const {
  const std::string wish = lower(header("connection"));
  if (!chunked && !length) return false;  // its end is the connection's
  return http_1_0 ? wish.find("keep-alive") != std::string::npos : wish.find("close") == std::string::npos;
}

Expected<HttpHead> parse_head(std::string_view text) {
  HttpHead head;
  const auto bad = [](std::string_view line) {
    return fail(Errc::wire_malformed,
                "found \"" + std::string(line.substr(0, 80)) + "\", expected an HTTP/1.1 header");
  };
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 2));
    if (first) {
      if (!line.starts_with("HTTP/1.") || line.size() < 12 || !parse_number(line.substr(9, 3), head.status))
        return bad(line);
      head.http_1_0 = line[7] == '0';
      first = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return bad(line);
    head.headers.emplace_back(lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  if (lower(head.header("transfer-encoding")).find("chunked") != std::string::npos) {
    head.chunked = true;
  } else if (const std::string_view length = head.header("content-length"); !length.empty()) {
    std::uint64_t bytes = 0;
    if (!parse_number(length, bytes)) return bad(length);
    head.length = bytes;
  }
  return head;
}

}  // namespace troupe
