#pragma once
// /openapi.json and /docs as browsers get them.
#include "services/gateway/web_files.hpp"

namespace troupe::gateway::openapi {

/// Made at the first call. `admin`: of a port that has the admin routes too. Threads: any.
[[nodiscard]] const WebFile& document_file(bool admin);
/// One page with all that it needs in it but the document, which it reads. Its policy lets it run and load
/// nothing else. Threads: any.
[[nodiscard]] const WebFile& docs_page();

}  // namespace troupe::gateway::openapi
