// Which variables a template reads.
#include <gtest/gtest.h>

#include "common/template/chat_template.hpp"

namespace troupe {
namespace {

bool mentions(std::string_view source, std::string_view name) {
  const auto parsed = ChatTemplate::parse(source);
  EXPECT_TRUE(parsed) << parsed.error().detail;
  return parsed && (*parsed)->mentions(name);
}

TEST(Mentions, AVariableIsFoundWhereverItStands) {
  for (const char* source :
       {"{{ tools }}", "{% if x %}{% for t in tools %}{% endfor %}{% endif %}", "{% set a = [1, tools] %}",
        "{{ f(x, key=tools) }}", "{{ x | join(tools) }}", "{% macro m(a=tools) %}{% endmacro %}",
        "{% if not x %}{% elif tools is defined %}{% endif %}", "{{ a[tools] }}",
        "{{ 'a' if tools else 'b' }}", "{{ tools[0].name }}", "{{ f(*tools) }}",
        "{% set b %}{{ tools }}{% endset %}"}) {
    EXPECT_TRUE(mentions(source, "tools")) << source;
  }
}

TEST(Mentions, WhatOnlyLooksLikeOneIsNone) {
  for (const char* source : {"tools", "{# tools #}", "{{ message.tools }}", "{{ message['tools'] }}",
                             "{{ 'tools' }}", "{{ f(tools=1) }}", "{% raw %}{{ tools }}{% endraw %}"}) {
    EXPECT_FALSE(mentions(source, "tools")) << source;
  }
}

TEST(Mentions, TheSourceIsKept) {
  EXPECT_EQ((*ChatTemplate::parse("{{ a }}b"))->source(), "{{ a }}b");
}

}  // namespace
}  // namespace troupe
