#include "services/gateway/visit.hpp"

#include <utility>

namespace troupe::gateway {
namespace {

constexpr std::size_t kLongestTarget = 256;  ///< of what a client wrote

}  // namespace

Visit::Visit(Caller caller, const RequestId& request, TimePoint arrived)
    : caller_(std::move(caller)), arrived_(arrived) {
  entry_.request = request;
  entry_.key = caller_.name();
}

void Visit::write_to(std::shared_ptr<AuditLog> audit, std::string_view route, std::string_view target) {
  audit_ = std::move(audit);
  entry_.route = route;
  entry_.target = target.substr(0, kLongestTarget);
}

Visit::~Visit() {
  over(500);
}

std::optional<LimitRefusal> Visit::enter(TimePoint now) {
  if (!caller_.key) return std::nullopt;
  auto refused = caller_.key->limits->enter(now);
  entered_ = !refused;
  return refused;
}

std::optional<LimitRefusal> Visit::take_tokens(std::uint64_t amount, TimePoint now) {
  if (!caller_.key) return std::nullopt;
  auto refused = caller_.key->limits->take_tokens(amount, now);
  if (!refused) taken_tokens_ += amount;
  return refused;
}

std::vector<Header> Visit::limit_headers(TimePoint now) const {
  return caller_.key ? caller_.key->limits->headers(now) : std::vector<Header>();
}

void Visit::answered(const std::string& model, std::uint64_t prompt_tokens, std::uint64_t completion_tokens) {
  entry_.model = model;
  entry_.prompt_tokens = prompt_tokens;
  entry_.completion_tokens = completion_tokens;
}

void Visit::over(int status) {
  if (std::exchange(over_, true)) return;
  const TimePoint now = std::chrono::steady_clock::now();
  if (entered_) {
    caller_.key->limits->settle_tokens(taken_tokens_, entry_.prompt_tokens + entry_.completion_tokens, now);
    caller_.key->limits->leave();
  }
  if (!audit_) return;
  entry_.status = status;
  entry_.seconds = std::chrono::duration<double>(now - arrived_).count();
  audit_->add(entry_);
}

}  // namespace troupe::gateway
