#pragma once
// What an endpoint is asked before the run.
#include <string>

#include "common/base/error.hpp"
#include "services/bench/driver.hpp"

namespace troupe::load {

/// The first model GET /models lists. `trust`: of an https URL. Errors: those of HttpAnswer; model_not_found
/// when it lists none.
[[nodiscard]] Expected<std::string> first_model(const Url& url, const std::string& api_key, int interrupt_fd,
                                                std::shared_ptr<const TlsTrust> trust = nullptr);

}  // namespace troupe::load
