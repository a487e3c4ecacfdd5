// The chat template interpreter by itself: the default model's template, errors and their lines, limits, sharing between threads.
#include "common/template/chat_template.hpp"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe {
namespace {

using Json = nlohmann::ordered_json;

Expected<std::string> render(std::string_view source, const Json& context = Json::object(), TemplateLimits limits = {}) {
  auto parsed = ChatTemplate::parse(source, limits);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  return (*parsed)->render(context);
}

std::string error_of(std::string_view source, const Json& context = Json::object(), TemplateLimits limits = {}) {
  const auto text = render(source, context, limits);
  if (text) return "no error: " + text->substr(0, 60);
  EXPECT_EQ(text.error().code, Errc::template_failed);
  return text.error().detail;
}

std::string repeated(std::string_view part, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += part;
  return out;
}

// tokenizer.chat_template of SmolLM2-135M-Instruct.Q4_1.gguf
constexpr std::string_view kSmol =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named "
    "SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(ChatTemplate, RendersTheDefaultModelsTemplate) {
  const Json context = {{"messages", {{{"role", "user"}, {"content", "What is the capital of France?"}}}}, {"add_generation_prompt", true}};
  EXPECT_EQ(render(kSmol, context).value(),
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n");
  const Json told = {{"messages", {{{"role", "system"}, {"content", "Be brief."}}, {{"role", "user"}, {"content", "Hi"}}}}};
  EXPECT_EQ(render(kSmol, told).value(), "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}

TEST(ChatTemplate, RefusesWhatTheTemplateRefuses) {
  EXPECT_EQ(error_of("a\n{% if true %}\n{{ raise_exception('roles must ' ~ 'alternate') }}{% endif %}"), "line 3: roles must alternate");
}

TEST(ChatTemplate, NamesTheLineOfAnError) {
  EXPECT_EQ(error_of("\n\n{{ message.role }}"), "line 3: 'message' is undefined");
  EXPECT_EQ(error_of("{% set x = 1 %}\n{{ x + 'a' }}"), "line 2: unsupported operand types for +: 'int' and 'str'");
  EXPECT_EQ(error_of("{% for x in [1] %}\n\n{% endif %}"), "line 3: unknown tag 'endif'");
  EXPECT_EQ(error_of("\r\n\r\n{{ 'abc' | nosuch }}"), "line 3: no filter is named 'nosuch'");
  EXPECT_EQ(error_of("x\n{# never\nclosed"), "line 2: Missing end of comment tag");
}

TEST(ChatTemplate, TakesTheTimeFromTheContext) {
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y %H:%M') }}", {{"strftime_now", "2024-07-26T09:30:00"}}).value(), "26 Jul 2024 09:30");
  EXPECT_EQ(render("{{ strftime_now('%A %j') }}", {{"strftime_now", "2024-12-31"}}).value(), "Tuesday 366");
  EXPECT_EQ(render("{{ strftime_now('%Y') | length }}").value(), "4");
  EXPECT_EQ(error_of("{{ strftime_now('%Y') }}", {{"strftime_now", "yesterday"}}).substr(0, 20), "line 1: the context'");
}

TEST(ChatTemplate, KeepsBytesThatAreNotUtf8) {
  const std::string odd = "a\xff\xc3(\xe2\x82z";
  EXPECT_EQ(render("{{ x }}|{{ x | length }}|{{ x[1] }}", {{"x", odd}}).value(), odd + "|7|\xff");
  EXPECT_EQ(render("{{ x | reverse | reverse }}", {{"x", odd}}).value(), odd);
  EXPECT_EQ(render("{{ x | trim }}", {{"x", " \x80\x80 "}}).value(), "\x80\x80");
}

TEST(ChatTemplate, StopsAtTheStepLimit) {
  constexpr std::string_view kSteps = "line 1: the template took more than 2000000 steps";
  EXPECT_EQ(error_of("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"), kSteps);
  EXPECT_EQ(error_of("{% for a in range(9999) %}{% set x = range(9999) | list %}{% endfor %}"), kSteps);
  EXPECT_EQ(error_of("{% set x = [1] * 99999999 %}"), kSteps);
  EXPECT_EQ(error_of("{% for a in range(9999) %}{% set x = 'ab' * 4000000 == 'ab' * 4000000 %}{% endfor %}"), kSteps);
  EXPECT_EQ(error_of("{% set n = namespace(s='a') %}{% for a in range(30) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s | string | length }}"), kSteps);
  EXPECT_EQ(error_of("{% set n = namespace(s='a') %}{% for a in range(60) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s == n.s[:] }}"), kSteps);
  EXPECT_EQ(error_of("{{ 1 }}{{ 2 }}{{ 3 }}", Json::object(), {.steps = 8}), "line 1: the template took more than 8 steps");
  EXPECT_TRUE(render("{{ 1 }}{{ 2 }}{{ 3 }}", Json::object(), {.steps = 9}).has_value());
}

TEST(ChatTemplate, StopsWhatWouldNeverEndWithoutASearchInLinearTime) {
  // 4 MiB of one letter searched for 2 MiB of it and another: a search that starts over at every place would take hours.
  const std::string both = "{% set big = 'a' * 4194304 %}{% set part = 'a' * 2097152 ~ 'b' %}";
  EXPECT_EQ(render(both + "{{ part in big }}{{ big.find(part) }}{{ big.rfind('b' ~ 'a' * 2097152) }}{{ big.count(part) }}").value(), "False-1-10");
  EXPECT_EQ(render("{% set x = 'a' * 1000000 %}{{ x.strip('b' * 999999 ~ 'a') | length }}").value(), "0");
}

TEST(ChatTemplate, StopsAtTheTextLimit) {
  const auto refused = [](std::string_view source) { return error_of(source, {{"s", std::string(1000, 'x')}}, {.output_bytes = 10'000}); };
  constexpr std::string_view kBytes = "line 1: a text grew over 10000 bytes";
  for (const char* const source :
       {"{{ s * 11 }}", "{{ s * 9223372036854775 }}", "{% for a in range(11) %}{{ s }}{% endfor %}", "{{ s | replace('x', s) }}", "{{ s.replace('', s) }}",
        "{{ s.join(range(99) | map('string')) }}", "{{ ([1] * 99) | join(s) }}", "{{ s.center(10001) }}", "{{ '7'.zfill(20000) }}", "{{ '%20000d' % 1 }}",
        "{{ '%*d' % (20000, 1) }}", "{{ '{:20000}'.format('a') }}", "{{ s | indent(20000, true) }}", "{{ ([s] * 11) | string }}", "{{ [s, s, s, s, s, s, s, s, s, s] | tojson }}",
        "{{ [1] | tojson(indent=20000) }}", "{{ s | center(20000) }}", "{% set x %}{% for a in range(11) %}{{ s }}{% endfor %}{% endset %}",
        "{% macro m() %}{% for a in range(11) %}{{ s }}{% endfor %}{% endmacro %}{{ m() }}", "{{ s ~ s ~ s ~ s ~ s ~ s ~ s ~ s ~ s ~ s ~ s }}",
        "{{ ('<' * 4000) | e }}"}) {
    EXPECT_EQ(refused(source).substr(0, kBytes.size()), kBytes) << source;
  }
}

TEST(ChatTemplate, StopsAtTheDepthLimitWhileParsing) {
  const std::size_t deep = 100'000;
  for (const auto& source :
       {"{{ " + repeated("(", deep) + "1" + repeated(")", deep) + " }}", "{{ " + repeated("[", deep) + repeated("]", deep) + " }}",
        "{{ " + repeated("not ", deep) + "1 }}", "{{ " + repeated("- ", deep) + "1 }}", repeated("{% if 1 %}", deep), "{{ 1" + repeated("|abs", deep) + " }}",
        "{{ x" + repeated(".a", deep) + " }}", "{{ " + repeated("1 if 1 else ", deep) + "1 }}", "{{ 1" + repeated(" if 1", deep) + " }}", "{{ f" + repeated("()", deep) + " }}",
        "{{ " + repeated("f(", deep) + repeated(")", deep) + " }}", "{% for " + repeated("(", deep) + "x" + repeated(")", deep) + " in y %}{% endfor %}", "{{ x is " + repeated("in [x is ", deep) + "odd" + repeated("]", deep) + " }}"}) {
    EXPECT_NE(error_of(source).find("nested deeper than 100"), std::string::npos) << source.substr(0, 40);
  }
  EXPECT_EQ(render("{{ 1" + repeated(" + 1", 5000) + " }}").value(), "5001");
  EXPECT_EQ(render("{% if 0 %}" + repeated("{% elif 0 %}", 5000) + "{% else %}x{% endif %}").value(), "x");
}

TEST(ChatTemplate, StopsAtTheDepthLimitWhileRunning) {
  const auto deep = [](std::string_view source, const Json& context = Json::object()) { return error_of(source, context).find("nested deeper than 100") != std::string::npos; };
  EXPECT_TRUE(deep("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"));
  EXPECT_TRUE(deep("{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}"));
  EXPECT_TRUE(deep("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"));
  EXPECT_TRUE(deep("{% set n = namespace(l=[]) %}{% for a in range(200) %}{% set n.l = [n.l] %}{% endfor %}"));
  EXPECT_TRUE(deep("{% set n = namespace(l={}) %}{% for a in range(200) %}{% set n.l = {'a': n.l} %}{% endfor %}"));
  EXPECT_TRUE(deep("{% set n = namespace() %}{% set n.n = n %}{{ n }}"));
  Json nested = 1;
  for (int i = 0; i < 200; ++i) nested = Json::array({std::move(nested)});
  EXPECT_TRUE(deep("x", {{"x", nested}}));
  EXPECT_EQ(render("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{% endif %}x{% endmacro %}{{ m(90) }}").value().size(), 91U);
}

TEST(ChatTemplate, FreesWhatHoldsItself) {  // seen by the leak check of the address build
  EXPECT_TRUE(render("{% set n = namespace() %}{% set n.n = n %}{% set n.l = [n] %}{% macro m() %}{% endmacro %}{% set x = [m, n] %}{% set n.m = m %}").has_value());
  EXPECT_TRUE(render("{% for a in [1, 2] if a %}{% set o = loop %}{% macro m() %}{{ o }}{% endmacro %}{% endfor %}").has_value());
  EXPECT_TRUE(render("{% set n = namespace() %}{% for a in range(20000) %}{% set n = namespace(n=n) %}{% endfor %}").has_value());
  EXPECT_FALSE(render("{% set n = namespace() %}{% for a in [1] if n %}{% set n.l = loop %}{{ 1 / 0 }}{% endfor %}").has_value());
}

TEST(ChatTemplate, RefusesANumberOver64Bits) {
  for (const char* const source : {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 4294967296 * 4294967296 }}", "{{ 2 ** 64 }}", "{{ 99999999999999999999 }}",
                                   "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1) | abs }}"}) {
    EXPECT_NE(error_of(source).find("64 bits"), std::string::npos) << source;
  }
  EXPECT_EQ(render("{{ -9223372036854775807 - 1 }} {{ (-9223372036854775807 - 1) % -1 }}").value(), "-9223372036854775808 0");
}

TEST(ChatTemplate, RefusesAContextThatIsNoObject) { EXPECT_EQ(error_of("x", Json::array()), "line 0: the context is no JSON object"); }

TEST(ChatTemplate, IsSharedByThreads) {
  const auto parsed = ChatTemplate::parse("{% set ns = namespace(t='') %}{% for x in l %}{% set ns.t = ns.t ~ x %}{% endfor %}{{ ns.t }}{{ 'k' }}").value();
  std::array<std::string, 4> texts;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) texts[i] = parsed->render({{"l", {i, i + 1, i + 2}}}).value_or("failed");
    });
  }
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], std::to_string(i) + std::to_string(i + 1) + std::to_string(i + 2) + "k");
}

}  // namespace
}  // namespace troupe
