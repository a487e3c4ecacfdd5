#include "services/gateway/web_files.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "common/base/hash.hpp"

namespace troupe::gateway {

// Made by embed.cmake from web/, sorted by name.
extern const std::span<const std::pair<std::string_view, std::string_view>> kWebSources;

namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

std::string_view type_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kTypes{{
      {".json", "application/json"},
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".svg", "image/svg+xml"},
  }};
  for (const auto& [ending, type] : kTypes)
    if (name.ends_with(ending)) return type;
  return "application/octet-stream";
}

std::string gzip(std::string_view text) {
  constexpr int kGzip = 15 + 16;  // the largest window, with gzip's header
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib's older interface; it only reads
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(whole ? stream.total_out : 0);
  deflateEnd(&stream);
  return out.size() < text.size() ? out : std::string();
}

std::vector<WebFile> make_files() {
  std::vector<WebFile> files;
  for (const auto& [name, content] : kWebSources) files.push_back(make_web_file(name, content));
  return files;
}

/// Whether an element of a header's list is `wanted`, parameters aside.
bool lists(std::string_view header, std::string_view wanted) {
  while (!header.empty()) {
    const auto end = std::min(header.find(','), header.size());
    std::string_view item = header.substr(0, end);
    item = item.substr(0, item.find(';'));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == wanted) return true;
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  return false;
}

}  // namespace

WebFile make_web_file(std::string_view name, std::string_view content, std::string policy) {
  const auto hash = Hasher().text("web").text(content).finish<RequestId>();
  if (policy.empty()) policy = kPolicy;
  return {name, content, type_of(name), gzip(content), '"' + to_hex(hash) + '"', std::move(policy)};
}

std::span<const WebFile> web_files() {
  static const std::vector<WebFile> kFiles = make_files();
  return kFiles;
}

const WebFile* find_web_file(std::string_view name) {
  const auto files = web_files();
  const auto at = std::ranges::lower_bound(files, name, {}, &WebFile::name);
  return at != files.end() && at->name == name ? &*at : nullptr;
}

Response web_response(const WebFile& file, const Request& request) {
  Response response;
  response.content_type = std::string(file.type);
  response.headers = {{"ETag", file.tag},
                      {"Cache-Control", "no-cache"},  // kept, but asked after: an upgrade shows at once
                      {"Vary", "Accept-Encoding"},
                      {"Content-Security-Policy", file.policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"}};
  if (lists(request.header("If-None-Match"), file.tag)) {
    response.status = 304;
    response.content_type.clear();
    return response;
  }
  const bool compressed = !file.compressed.empty() && lists(request.header("Accept-Encoding"), "gzip");
  if (compressed) response.headers.push_back({"Content-Encoding", "gzip"});
  response.body = compressed ? file.compressed : std::string(file.content);
  return response;
}

}  // namespace troupe::gateway
