#pragma once
// Which names a template reads from its context.
#include <set>
#include <string>

#include "common/template/ast.hpp"

namespace troupe::jinja {

/// Every name that stands for a variable anywhere in `body`: not attributes, not keys, not texts. Names that
/// the template assigns itself are among them where it reads them.
[[nodiscard]] std::set<std::string, std::less<>> mentioned_names(const Body& body);

}  // namespace troupe::jinja
