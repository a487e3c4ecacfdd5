#pragma once
// The dashboard's files (folder web/), part of the program: it works without a file system and without the
// internet.
#include <span>
#include <string>
#include <string_view>

#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

struct WebFile {
  std::string_view name;  ///< "index.html"
  std::string_view content;
  std::string_view type;   ///< Content-Type
  std::string compressed;  ///< gzip; empty where that is not smaller
  std::string tag;         ///< ETag of the content, in quotes
  std::string policy;      ///< Content-Security-Policy: what a page may load
};

/// A file of `content`, which must outlive it. `policy`: empty is that of the dashboard's files, which load
/// nothing but each other.
[[nodiscard]] WebFile make_web_file(std::string_view name, std::string_view content, std::string policy = {});

/// All of them, by name. Threads: any.
[[nodiscard]] std::span<const WebFile> web_files();
/// nullptr: there is none of that name.
[[nodiscard]] const WebFile* find_web_file(std::string_view name);

/// What a browser is sent: 304 for what it has, compressed where it says that it can read that, and headers
/// that let the page load nothing but what this gateway serves.
[[nodiscard]] Response web_response(const WebFile& file, const Request& request);

}  // namespace troupe::gateway
