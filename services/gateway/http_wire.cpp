#include "services/gateway/http_wire.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace troupe::gateway {
namespace {

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) out += (c == '\r' || c == '\n') ? ' ' : c;
  out += "\r\n";
}

/// IMF-fixdate, remade at most once a second per thread.
std::string_view http_date() {
  thread_local std::time_t made = 0;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made || text.empty()) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 64> buffer;
    const std::size_t size = std::strftime(buffer.data(), buffer.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    text.assign(buffer.data(), size);
    made = now;
  }
  return text;
}

std::string start_head(int status, std::string_view content_type, const AnswerContext& context) {
  std::string out;
  out.reserve(384);
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  append_header(out, "Date", http_date());
  if (!content_type.empty()) append_header(out, "Content-Type", content_type);
  if (!context.request_id.empty()) append_header(out, "x-request-id", context.request_id);
  if (!context.cors_origin.empty()) {
    append_header(out, "Access-Control-Allow-Origin", context.cors_origin);
    append_header(out, "Access-Control-Expose-Headers",
                  "x-request-id, Retry-After, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
                  "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
                  "x-ratelimit-reset-tokens");
    if (context.cors_origin != "*") append_header(out, "Vary", "Origin");
  }
  for (const Header& field : context.fields) append_header(out, field.name, field.value);
  if (context.close) append_header(out, "Connection", "close");
  return out;
}

bool has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

}  // namespace

std::string_view Request::header(std::string_view name) const {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (const Header& field : headers) {
    if (std::ranges::equal(field.name, name, {}, lower, lower)) return field.value;
  }
  return {};
}

std::optional<std::string_view> query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view part = query.substr(0, end);
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
      return part.substr(name.size() + 1);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
  }
  return std::nullopt;
}

std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

std::string compose_response(const Response& response, const AnswerContext& context) {
  std::string out =
      start_head(response.status, has_body(response.status) ? response.content_type : "", context);
  for (const Header& field : response.headers) append_header(out, field.name, field.value);
  if (has_body(response.status)) append_header(out, "Content-Length", std::to_string(response.body.size()));
  out += "\r\n";
  if (has_body(response.status) && !context.head_only) out += response.body;
  return out;
}

std::string compose_stream_head(int status, std::string_view content_type, const AnswerContext& context) {
  std::string out = start_head(status, content_type, context);
  append_header(out, "Cache-Control", "no-cache");
  append_header(out, "X-Accel-Buffering", "no");
  if (context.chunked) append_header(out, "Transfer-Encoding", "chunked");
  out += "\r\n";
  return out;
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  std::array<char, 20> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  out.append(size.data(), end);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace troupe::gateway
