#include "common/template/arguments.hpp"

namespace troupe::jinja {

const Value& required(Machine& machine, const Value* value, const char* name) {
  if (value == nullptr) machine.fail(say({"missing the argument '", name, "'"}));
  return *value;
}

std::int64_t whole_number(Machine& machine, const Value& value) {
  if (!value.is_whole()) machine.fail(say({"expected an integer, found ", type_name(value)}));
  return value.whole();
}

const std::string& text_of(Machine& machine, const Value& value) {
  if (!value.is_text()) machine.fail(say({"expected a string, found ", type_name(value)}));
  return value.bytes();
}

}  // namespace troupe::jinja
