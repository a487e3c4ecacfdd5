#include "common/template/chat_template.hpp"

#include <new>

#include <nlohmann/json.hpp>

#include "common/template/lexer.hpp"
#include "common/template/machine.hpp"
#include "common/template/mentions.hpp"
#include "common/template/parser.hpp"
#include "common/template/text.hpp"

namespace troupe {
namespace {

tl::unexpected<Error> refused(const jinja::Fault& fault) {
  return fail(Errc::template_failed, jinja::say({"line ", std::to_string(fault.line), ": ", fault.reason}));
}

class ParsedTemplate final : public ChatTemplate {
 public:
  ParsedTemplate(std::string_view source, jinja::Body body, TemplateLimits limits)
      : source_(source), body_(std::move(body)), names_(jinja::mentioned_names(body_)), limits_(limits) {}

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

  bool mentions(std::string_view name) const override { return names_.contains(name); }
  std::string_view source() const override { return source_; }

 private:
  std::string source_;
  jinja::Body body_;
  std::set<std::string, std::less<>> names_;
  TemplateLimits limits_;
};

}  // namespace

Expected<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view source, TemplateLimits limits) {
  try {
    auto tokens = jinja::tokenize(source);
    return std::make_shared<const ParsedTemplate>(source, jinja::Parser(std::move(tokens), limits.depth).parse(), limits);
  } catch (const jinja::Fault& fault) {
    return refused(fault);
  }
}

}  // namespace troupe
