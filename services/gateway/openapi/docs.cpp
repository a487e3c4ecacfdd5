#include "services/gateway/openapi/docs.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/security/digest.hpp"
#include "services/gateway/embeddings/vector_answer.hpp"
#include "services/gateway/openapi/document.hpp"

namespace troupe::gateway::openapi {
namespace {

std::string_view content_of(std::string_view name) {
  const WebFile* file = find_web_file(name);
  return file == nullptr ? std::string_view() : file->content;
}

/// As a Content-Security-Policy names what may stand in the page.
std::string hash_of(std::string_view text) {
  const security::Digest digest = security::sha256(text);
  std::string out("'sha256-");
  append_base64(out, std::as_bytes(std::span(digest)));
  out.push_back('\'');
  return out;
}

void put(std::string& page, std::string_view mark, std::string_view begin, std::string_view content,
         std::string_view end) {
  const auto at = page.find(mark);
  if (at == std::string::npos) return;
  std::string element(begin);
  element.append(content).append(end);
  page.replace(at, mark.size(), element);
}

struct Page {
  std::string text;
  WebFile file;
};

Page make_page() {
  std::string style(content_of("style.css"));
  style.append(content_of("docs.css"));
  const std::string_view script = content_of("docs.js");
  Page out;
  out.text = content_of("docs.html");
  put(out.text, "<!-- style -->", "<style>", style, "</style>");
  put(out.text, "<!-- script -->", "<script>", script, "</script>");
  std::string policy("default-src 'none'; script-src ");
  policy.append(hash_of(script)).append("; style-src ").append(hash_of(style));
  policy.append("; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; ");
  policy.append("frame-ancestors 'none'; require-trusted-types-for 'script'");
  out.file = make_web_file("docs.html", out.text, std::move(policy));
  return out;
}

}  // namespace

const WebFile& document_file(bool admin) {
  static const std::string kAll = make_document(true).dump(), kClients = make_document(false).dump();
  static const WebFile kFiles[] = {make_web_file("openapi.json", kClients),
                                   make_web_file("openapi.json", kAll)};
  return kFiles[admin ? 1 : 0];
}

const WebFile& docs_page() {
  // The file's content is a view of the text beside it, so nothing here moves.
  static const Page* const kPage = [] {
    auto* page = new Page(make_page());
    page->file.content = page->text;
    return page;
  }();
  return kPage->file;
}

}  // namespace troupe::gateway::openapi
