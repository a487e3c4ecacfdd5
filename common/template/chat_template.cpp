#include "common/template/chat_template.hpp"

#include <new>

#include <nlohmann/json.hpp>

#include "common/template/lexer.hpp"
#include "common/template/machine.hpp"
#include "common/template/parser.hpp"
#include "common/template/text.hpp"

namespace troupe {
namespace {

tl::unexpected<Error> refused(const jinja::Fault& fault) {
  return fail(Errc::template_failed, jinja::say({"line ", std::to_string(fault.line), ": ", fault.reason}));
}

class ParsedTemplate final : public ChatTemplate {
 public:
  ParsedTemplate(jinja::Body body, TemplateLimits limits) : body_(std::move(body)), limits_(limits) {}

  Expected<std::string> render(const nlohmann::ordered_json& context) const override {
    try {
      jinja::Machine machine(limits_);
      return machine.render(body_, context);
    } catch (const jinja::Fault& fault) {
      return refused(fault);
    } catch (const nlohmann::ordered_json::exception& fault) {
      return fail(Errc::template_failed, std::string("the context: ") + fault.what());
    }
  }

 private:
  jinja::Body body_;
  TemplateLimits limits_;
};

}  // namespace

Expected<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view source, TemplateLimits limits) {
  try {
    auto tokens = jinja::tokenize(source);
    return std::make_shared<const ParsedTemplate>(jinja::Parser(std::move(tokens), limits.depth).parse(), limits);
  } catch (const jinja::Fault& fault) {
    return refused(fault);
  }
}

}  // namespace troupe
