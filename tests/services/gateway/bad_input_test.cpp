// What a client may send wrong: each gets a 4xx with a stable code and the field at fault, never a 500.
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

struct Case {
  const char* what;
  const char* path;
  std::string body;
  int status;
  const char* code;
  const char* param;  ///< nullptr: null
};

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kText = "/v1/completions";

/// A valid chat or completion body with one more member.
std::string chat(const std::string& member) {
  return R"({"model":"small","messages":[{"role":"user","content":"x"}],)" + member + "}";
}
/// One tool, and maybe one more member.
std::string tools(const std::string& function, const std::string& member = R"("n":1)") {
  return chat(R"("tools":[{"type":"function","function":)" + function + "}]," + member);
}
std::string text(const std::string& member) {
  return R"({"model":"raw","prompt":"x",)" + member + "}";
}
std::string messages(const std::string& list) {
  return R"({"model":"small","messages":)" + list + "}";
}
std::string prompt(const std::string& value) {
  return R"({"model":"raw","prompt":)" + value + "}";
}
std::string nested(int depth) {
  return R"({"model":)" + std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']') + "}";
}

std::vector<Case> cases() {
  const std::string long_text(300, 'x');
  std::vector<Case> list{
      // Not JSON, or not acceptable as such
      {"empty body", kChat, "", 400, "malformed_json", nullptr},
      {"cut off", kChat, R"({"model":"small")", 400, "malformed_json", nullptr},
      {"trailing garbage", kChat, R"({"model":"small"} x)", 400, "malformed_json", nullptr},
      {"single quotes", kText, "{'model':'raw'}", 400, "malformed_json", nullptr},
      {"NaN", kText, text(R"("temperature":NaN)"), 400, "malformed_json", nullptr},
      {"number out of range", kText, text(R"("temperature":1e999)"), 400, "malformed_json", nullptr},
      {"lone surrogate", kText, prompt(R"("\ud83d")"), 400, "malformed_json", nullptr},
      {"raw control character", kText, prompt("\"a\nb\""), 400, "malformed_json", nullptr},
      {"nested too deeply", kChat, nested(100), 400, "malformed_json", nullptr},
      {"nested absurdly", kChat, nested(100000), 400, "malformed_json", nullptr},
      {"bad UTF-8", kText, prompt("\"\xFF\""), 400, "invalid_utf8", nullptr},
      {"overlong UTF-8", kText, prompt("\"\xC0\x80\""), 400, "invalid_utf8", nullptr},
      {"UTF-8 surrogate", kChat, messages("[{\"role\":\"user\",\"content\":\"\xED\xA0\x80\"}]"), 400,
       "invalid_utf8", nullptr},
      {"array as body", kChat, "[]", 400, "invalid_type", nullptr},
      {"null as body", kText, "null", 400, "invalid_type", nullptr},
      {"string as body", kText, "\"x\"", 400, "invalid_type", nullptr},

      // The model
      {"no model", kChat, R"({"messages":[{"role":"user","content":"x"}]})", 400,
       "missing_required_parameter", "model"},
      {"null model", kText, R"({"model":null,"prompt":"x"})", 400, "missing_required_parameter", "model"},
      {"model of wrong type", kChat, R"({"model":7,"messages":[]})", 400, "invalid_type", "model"},
      {"unknown model", kChat, R"({"model":"gpt-9","messages":[{"role":"user","content":"x"}]})", 404,
       "model_not_found", "model"},
      {"unknown model for text", kText, R"({"model":"","prompt":"x"})", 404, "model_not_found", "model"},
      {"chat with a model without a template", kChat,
       R"({"model":"raw","messages":[{"role":"user","content":"x"}]})", 400, "no_chat_template", "messages"},

      // Messages
      {"no messages", kChat, R"({"model":"small"})", 400, "missing_required_parameter", "messages"},
      {"messages of wrong type", kChat, messages("\"x\""), 400, "invalid_type", "messages"},
      {"empty messages", kChat, messages("[]"), 400, "invalid_value", "messages"},
      {"message is a string", kChat, messages("[\"x\"]"), 400, "invalid_type", "messages[0]"},
      {"message without a role", kChat, messages(R"([{"content":"x"}])"), 400, "missing_required_parameter",
       "messages[0].role"},
      {"unknown role", kChat, messages(R"([{"role":"user","content":"x"},{"role":"wizard","content":"x"}])"),
       400, "invalid_value", "messages[1].role"},
      {"role of wrong type", kChat, messages(R"([{"role":1,"content":"x"}])"), 400, "invalid_type",
       "messages[0].role"},
      {"content is a number", kChat, messages(R"([{"role":"user","content":1}])"), 400, "invalid_type",
       "messages[0].content"},
      {"content is an object", kChat, messages(R"([{"role":"user","content":{}}])"), 400, "invalid_type",
       "messages[0].content"},
      {"part is a string", kChat, messages(R"([{"role":"user","content":["x"]}])"), 400, "invalid_type",
       "messages[0].content[0]"},
      {"part without a type", kChat, messages(R"([{"role":"user","content":[{"text":"x"}]}])"), 400,
       "missing_required_parameter", "messages[0].content[0].type"},
      {"image part", kChat,
       messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])"), 400,
       "unsupported_parameter", "messages[0].content[0].type"},
      {"text part without text", kChat, messages(R"([{"role":"user","content":[{"type":"text"}]}])"), 400,
       "missing_required_parameter", "messages[0].content[0].text"},
      {"text of wrong type", kChat, messages(R"([{"role":"user","content":[{"type":"text","text":5}]}])"),
       400, "invalid_type", "messages[0].content[0].text"},
      {"unknown key in a message", kChat, messages(R"([{"role":"user","content":"x","colour":"red"}])"), 400,
       "unknown_parameter", "messages[0].colour"},
      {"tool call that is no object", kChat, messages(R"([{"role":"assistant","tool_calls":[1]}])"), 400,
       "invalid_type", "messages[0].tool_calls[0]"},
      {"prompt in a chat", kChat, chat(R"("prompt":"x")"), 400, "unknown_parameter", "prompt"},

      // Prompts
      {"no prompt", kText, R"({"model":"raw"})", 400, "missing_required_parameter", "prompt"},
      {"prompt is a number", kText, prompt("5"), 400, "invalid_type", "prompt"},
      {"prompt is an object", kText, prompt("{}"), 400, "invalid_type", "prompt"},
      {"empty prompts", kText, prompt("[]"), 400, "invalid_value", "prompt"},
      {"mixed prompts", kText, prompt(R"(["a",1])"), 400, "invalid_type", "prompt[1]"},
      {"mixed ids", kText, prompt(R"([1,"a"])"), 400, "invalid_type", "prompt[1]"},
      {"id lists with a string", kText, prompt(R"([[1],"a"])"), 400, "invalid_type", "prompt[1]"},
      {"empty id list", kText, prompt("[[]]"), 400, "invalid_value", "prompt[0]"},
      {"fraction as an id", kText, prompt("[1.5]"), 400, "invalid_type", "prompt[0]"},
      {"negative id", kText, prompt("[-1]"), 400, "invalid_value", "prompt[0]"},
      {"id over 32 bits", kText, prompt("[99999999999]"), 400, "invalid_value", "prompt[0]"},
      {"id outside the vocabulary", kText, prompt("[5000]"), 400, "invalid_value", "prompt"},
      {"messages in a completion", kText, text(R"("messages":[{"role":"user"}])"), 400, "unknown_parameter",
       "messages"},
      {"suffix", kText, text(R"("suffix":"y")"), 400, "unsupported_parameter", "suffix"},

      // Lengths
      {"prompt over the context", kText, prompt("\"" + long_text + "\""), 400, "context_length_exceeded",
       "prompt"},
      {"chat over the context", kChat, messages(R"([{"role":"user","content":")" + long_text + "\"}]"), 400,
       "context_length_exceeded", "messages"},
      {"prompt and answer over the context", kText, text(R"("max_tokens":256)"), 400,
       "context_length_exceeded", "max_tokens"},
      {"max_tokens 0", kChat, chat(R"("max_tokens":0)"), 400, "invalid_value", "max_tokens"},
      {"max_tokens 0 without echo", kText, text(R"("max_tokens":0)"), 400, "invalid_value", "max_tokens"},
      {"max_tokens negative", kText, text(R"("max_tokens":-1)"), 400, "invalid_value", "max_tokens"},
      {"max_tokens a fraction", kText, text(R"("max_tokens":1.5)"), 400, "invalid_type", "max_tokens"},
      {"max_tokens a string", kChat, chat(R"("max_tokens":"5")"), 400, "invalid_type", "max_tokens"},
      {"max_tokens huge", kChat, chat(R"("max_tokens":18446744073709551615)"), 400, "invalid_value",
       "max_tokens"},
      {"two different maxima", kChat, chat(R"("max_tokens":5,"max_completion_tokens":6)"), 400,
       "invalid_value", "max_tokens"},
      {"max_completion_tokens for text", kText, text(R"("max_completion_tokens":5)"), 400,
       "unknown_parameter", "max_completion_tokens"},

      // Sampling
      {"temperature too high", kChat, chat(R"("temperature":2.5)"), 400, "invalid_value", "temperature"},
      {"temperature negative", kText, text(R"("temperature":-0.1)"), 400, "invalid_value", "temperature"},
      {"temperature a string", kText, text(R"("temperature":"hot")"), 400, "invalid_type", "temperature"},
      {"temperature a boolean", kText, text(R"("temperature":true)"), 400, "invalid_type", "temperature"},
      {"top_p over 1", kChat, chat(R"("top_p":1.01)"), 400, "invalid_value", "top_p"},
      {"top_k below -1", kChat, chat(R"("top_k":-2)"), 400, "invalid_value", "top_k"},
      {"min_p over 1", kChat, chat(R"("min_p":2)"), 400, "invalid_value", "min_p"},
      {"typical_p negative", kChat, chat(R"("typical_p":-1)"), 400, "invalid_value", "typical_p"},
      {"repetition_penalty 0", kChat, chat(R"("repetition_penalty":0)"), 400, "invalid_value",
       "repetition_penalty"},
      {"frequency_penalty too low", kChat, chat(R"("frequency_penalty":-2.1)"), 400, "invalid_value",
       "frequency_penalty"},
      {"presence_penalty too high", kChat, chat(R"("presence_penalty":3)"), 400, "invalid_value",
       "presence_penalty"},
      {"seed a fraction", kChat, chat(R"("seed":1.5)"), 400, "invalid_type", "seed"},
      {"seed over 63 bits", kChat, chat(R"("seed":9223372036854775808)"), 400, "invalid_value", "seed"},
      {"n 0", kChat, chat(R"("n":0)"), 400, "invalid_value", "n"},
      {"n over the limit", kChat, chat(R"("n":17)"), 400, "invalid_value", "n"},
      {"n far over the limit", kChat, chat(R"("n":1000000)"), 400, "invalid_value", "n"},
      {"best_of below n", kText, text(R"("n":3,"best_of":2)"), 400, "invalid_value", "best_of"},
      {"best_of over the limit", kText, text(R"("best_of":17)"), 400, "invalid_value", "best_of"},
      {"best_of in a stream", kText, text(R"("best_of":2,"stream":true)"), 400, "invalid_value", "best_of"},
      {"min_tokens negative", kChat, chat(R"("min_tokens":-1)"), 400, "invalid_value", "min_tokens"},
      {"min_tokens over max_tokens", kChat, chat(R"("min_tokens":6,"max_tokens":5)"), 400, "invalid_value",
       "min_tokens"},
      {"min_tokens over the context", kChat, chat(R"("min_tokens":256)"), 400, "invalid_value", "min_tokens"},
      {"bad_words a string", kChat, chat(R"("bad_words":"x")"), 400, "invalid_type", "bad_words"},
      {"bad_words with a number", kChat, chat(R"("bad_words":["x",1])"), 400, "invalid_type", "bad_words[1]"},
      {"bad_words with an empty one", kChat, chat(R"("bad_words":[""])"), 400, "invalid_value", "bad_words[0]"},
      {"bad_words with a blank one", kChat, chat(R"("bad_words":["  "])"), 400, "invalid_value", "bad_words"},
      {"allowed_token_ids of a word", kChat, chat(R"("allowed_token_ids":["x"])"), 400, "invalid_type",
       "allowed_token_ids[0]"},
      {"allowed_token_ids negative", kChat, chat(R"("allowed_token_ids":[5,-1])"), 400, "invalid_value",
       "allowed_token_ids[1]"},
      {"allowed_token_ids outside", kText, text(R"("allowed_token_ids":[5000])"), 400, "invalid_value",
       "allowed_token_ids"},
      {"two penalties that differ", kChat, chat(R"("repeat_penalty":1.1,"repetition_penalty":1.2)"), 400,
       "invalid_value", "repeat_penalty"},
      {"repeat_last_n below -1", kChat, chat(R"("repeat_last_n":-2)"), 400, "invalid_value", "repeat_last_n"},
      {"xtc_probability over 1", kChat, chat(R"("xtc_probability":1.5)"), 400, "invalid_value", "xtc_probability"},
      {"xtc_threshold a string", kChat, chat(R"("xtc_threshold":"x")"), 400, "invalid_type", "xtc_threshold"},
      {"top_n_sigma below -1", kText, text(R"("top_n_sigma":-2)"), 400, "invalid_value", "top_n_sigma"},
      {"dynatemp_range of no temperature", kText, text(R"("temperature":0,"dynatemp_range":0.5)"), 400,
       "invalid_value", "dynatemp_range"},
      {"dry_base below 1", kText, text(R"("dry_base":0.5)"), 400, "invalid_value", "dry_base"},
      {"dry_allowed_length negative", kText, text(R"("dry_allowed_length":-1)"), 400, "invalid_value",
       "dry_allowed_length"},
      {"dry_penalty_last_n below -1", kText, text(R"("dry_penalty_last_n":-2)"), 400, "invalid_value",
       "dry_penalty_last_n"},
      {"dry_sequence_breakers with a number", kText, text(R"("dry_sequence_breakers":[1])"), 400, "invalid_type",
       "dry_sequence_breakers[0]"},
      {"dry_sequence_breakers too long", kText,
       text("\"dry_sequence_breakers\":[\"" + std::string(50, 'a') + "\"]"), 400, "invalid_value",
       "dry_sequence_breakers[0]"},
      {"mirostat", kText, text(R"("mirostat":2)"), 400, "unsupported_parameter", "mirostat"},
      {"service_tier unknown", kChat, chat(R"("service_tier":"gold")"), 400, "invalid_value", "service_tier"},
      {"service_tier and priority", kChat, chat(R"("service_tier":"flex","priority":3)"), 400, "invalid_value",
       "service_tier"},
      {"prediction a string", kChat, chat(R"("prediction":"x")"), 400, "invalid_type", "prediction"},
      {"prediction of no type", kChat, chat(R"("prediction":{"content":"x"})"), 400, "missing_required_parameter",
       "prediction.type"},
      {"prediction of another type", kChat, chat(R"("prediction":{"type":"image","content":"x"})"), 400,
       "invalid_value", "prediction.type"},
      {"prediction of nothing", kChat, chat(R"("prediction":{"type":"content"})"), 400, "missing_required_parameter",
       "prediction.content"},
      {"prediction with an image", kChat,
       chat(R"("prediction":{"type":"content","content":[{"type":"image_url"}]})"), 400, "unsupported_parameter",
       "prediction.content[0].type"},
      {"continuing a question", kChat, chat(R"("continue_final_message":true)"), 400, "invalid_value",
       "continue_final_message"},
      {"continuing and beginning another", kChat,
       R"({"model":"small","messages":[{"role":"assistant","content":"x"}],"continue_final_message":true,"add_generation_prompt":true})",
       400, "invalid_value", "continue_final_message"},
      {"continuing nothing", kChat,
       R"({"model":"small","messages":[{"role":"assistant","content":""}],"continue_final_message":true})", 400,
       "invalid_value", "continue_final_message"},
      {"prompt_logprobs of too many", kChat, chat(R"("prompt_logprobs":21)"), 400, "invalid_value",
       "prompt_logprobs"},
      {"prompt_logprobs in a stream", kChat, chat(R"("prompt_logprobs":1,"stream":true)"), 400, "invalid_value",
       "prompt_logprobs"},
      {"suffix and echo", kText, text(R"("suffix":"y","echo":true)"), 400, "invalid_value", "suffix"},
      {"verbosity unknown", kChat, chat(R"("verbosity":"loud")"), 400, "invalid_value", "verbosity"},
      {"beams and min_tokens", kChat, chat(R"("min_tokens":2,"use_beam_search":true)"), 400, "unsupported_parameter",
       "min_tokens"},
      {"beams and bad words", kChat, chat(R"("bad_words":["x"],"use_beam_search":true)"), 400,
       "unsupported_parameter", "bad_words"},
      {"beams and DRY", kChat, chat(R"("dry_multiplier":0.8,"use_beam_search":true)"), 400, "unsupported_parameter",
       "dry_multiplier"},
      {"beams and a preset", kChat, chat(R"("use_beam_search":true,"troupe":{"preset":"sharpened"})"), 400,
       "unsupported_parameter", "troupe.preset"},
      {"preset unknown", kChat, chat(R"("troupe":{"preset":"hyperfitted"})"), 400, "invalid_value", "troupe.preset"},
      {"preset a number", kChat, chat(R"("troupe":{"preset":1})"), 400, "invalid_type", "troupe.preset"},
      {"logit_bias an array", kChat, chat(R"("logit_bias":[1])"), 400, "invalid_type", "logit_bias"},
      {"logit_bias of a word", kChat, chat(R"("logit_bias":{"the":1})"), 400, "invalid_value", "logit_bias"},
      {"logit_bias too strong", kChat, chat(R"("logit_bias":{"5":101})"), 400, "invalid_value",
       "logit_bias.5"},
      {"logit_bias a string", kChat, chat(R"("logit_bias":{"5":"x"})"), 400, "invalid_type", "logit_bias.5"},
      {"logit_bias outside the vocabulary", kChat, chat(R"("logit_bias":{"5000":1})"), 400, "invalid_value",
       "logit_bias"},

      // Stops and reports
      {"stop a number", kChat, chat(R"("stop":5)"), 400, "invalid_type", "stop"},
      {"stop with a number", kChat, chat(R"("stop":["a",5])"), 400, "invalid_type", "stop[1]"},
      {"too many stops", kChat,
       chat(R"("stop":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"])"), 400,
       "invalid_value", "stop"},
      {"stop too long", kChat, chat("\"stop\":\"" + std::string(2000, 'a') + "\""), 400, "invalid_value",
       "stop"},
      {"stop_token_ids outside", kChat, chat(R"("stop_token_ids":[5000])"), 400, "invalid_value",
       "stop_token_ids"},
      {"logprobs a number in a chat", kChat, chat(R"("logprobs":2)"), 400, "invalid_type", "logprobs"},
      {"logprobs a boolean for text", kText, text(R"("logprobs":true)"), 400, "invalid_type", "logprobs"},
      {"too many logprobs", kText, text(R"("logprobs":21)"), 400, "invalid_value", "logprobs"},
      {"too many top_logprobs", kChat, chat(R"("logprobs":true,"top_logprobs":21)"), 400, "invalid_value",
       "top_logprobs"},
      {"top_logprobs alone", kChat, chat(R"("top_logprobs":2)"), 400, "invalid_value", "top_logprobs"},
      {"stream a string", kChat, chat(R"("stream":"yes")"), 400, "invalid_type", "stream"},
      {"stream_options without stream", kChat, chat(R"("stream_options":{"include_usage":true})"), 400,
       "invalid_value", "stream_options"},
      {"unknown stream option", kChat, chat(R"("stream":true,"stream_options":{"speed":1})"), 400,
       "unknown_parameter", "stream_options.speed"},
      {"include_usage a number", kChat, chat(R"("stream":true,"stream_options":{"include_usage":1})"), 400,
       "invalid_type", "stream_options.include_usage"},
      {"echo a number", kText, text(R"("echo":1)"), 400, "invalid_type", "echo"},

      // Tools
      {"tools no array", kChat, chat(R"("tools":{"a":1})"), 400, "invalid_type", "tools"},
      {"tool no object", kChat, chat(R"("tools":["f"])"), 400, "invalid_type", "tools[0]"},
      {"tool without a type", kChat, chat(R"("tools":[{"function":{"name":"f"}}])"), 400,
       "missing_required_parameter", "tools[0].type"},
      {"tool of another type", kChat, chat(R"("tools":[{"type":"web_search"}])"), 400, "unsupported_parameter",
       "tools[0].type"},
      {"tool without a function", kChat, chat(R"("tools":[{"type":"function"}])"), 400,
       "missing_required_parameter", "tools[0].function"},
      {"function without a name", kChat, tools(R"({"description":"x"})"), 400, "missing_required_parameter",
       "tools[0].function.name"},
      {"function of no good name", kChat, tools(R"({"name":"get weather"})"), 400, "invalid_value",
       "tools[0].function.name"},
      {"function with an unknown key", kChat, tools(R"({"name":"f","colour":"red"})"), 400, "unknown_parameter",
       "tools[0].function.colour"},
      {"parameters no object", kChat, tools(R"({"name":"f","parameters":[1]})"), 400, "invalid_type",
       "tools[0].function.parameters"},
      {"parameters of another type", kChat, tools(R"({"name":"f","parameters":{"type":"string"}})"), 400,
       "invalid_value", "tools[0].function.parameters.type"},
      {"strict and open", kChat, tools(R"({"name":"f","strict":true,"parameters":{"type":"object","properties":{}}})"),
       400, "invalid_value", "tools[0].function.parameters"},
      {"a schema that cannot hold", kChat,
       tools(R"({"name":"f","parameters":{"properties":{"a":{"contains":{}}}}})", R"("tool_choice":"required")"), 400,
       "invalid_value", "tools[0].function.parameters"},
      {"two of a name", kChat,
       chat(R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}])"),
       400, "invalid_value", "tools[1].function.name"},
      {"tool_choice without tools", kChat, chat(R"("tool_choice":"required")"), 400, "invalid_value", "tool_choice"},
      {"tool_choice of another word", kChat, tools(R"({"name":"f"})", R"("tool_choice":"maybe")"), 400,
       "invalid_value", "tool_choice"},
      {"tool_choice of another type", kChat, tools(R"({"name":"f"})", R"("tool_choice":{"type":"custom"})"), 400,
       "unsupported_parameter", "tool_choice.type"},
      {"tool_choice without a function", kChat, tools(R"({"name":"f"})", R"("tool_choice":{"type":"function"})"),
       400, "missing_required_parameter", "tool_choice.function"},
      {"tool_choice of an unknown name", kChat,
       tools(R"({"name":"f"})", R"("tool_choice":{"type":"function","function":{"name":"g"}})"), 400,
       "invalid_value", "tool_choice.function.name"},
      {"tools beside an expression", kChat, tools(R"({"name":"f"})", R"("guided_regex":"a+")"), 400,
       "invalid_value", "tools"},
      {"unknown tool format", kChat, chat(R"("troupe":{"tool_format":"morse"})"), 400, "invalid_value",
       "troupe.tool_format"},
      {"unknown reasoning format", kChat, chat(R"("reasoning_format":"loud")"), 400, "invalid_value",
       "reasoning_format"},
      {"call without an id", kChat, messages(R"([{"role":"assistant","tool_calls":[{"type":"function"}]}])"), 400,
       "missing_required_parameter", "messages[0].tool_calls[0].id"},
      {"call without a function", kChat, messages(R"([{"role":"assistant","tool_calls":[{"id":"a"}]}])"), 400,
       "missing_required_parameter", "messages[0].tool_calls[0].function"},
      {"call without arguments", kChat,
       messages(R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f"}}]}])"), 400,
       "missing_required_parameter", "messages[0].tool_calls[0].function.arguments"},
      {"arguments no text", kChat,
       messages(R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]}])"), 400,
       "invalid_type", "messages[0].tool_calls[0].function.arguments"},
      {"arguments no JSON", kChat,
       messages(R"([{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}])"), 400,
       "invalid_value", "messages[0].tool_calls[0].function.arguments"},
      {"result without an id", kChat, messages(R"([{"role":"tool","content":"1"}])"), 400,
       "missing_required_parameter", "messages[0].tool_call_id"},
      {"result of no call", kChat,
       messages(R"([{"role":"user","content":"x"},{"role":"tool","content":"1","tool_call_id":"a"}])"), 400,
       "invalid_value", "messages[1].tool_call_id"},
      {"document no object", kChat, chat(R"("documents":["x"])"), 400, "invalid_type", "documents[0]"},
      {"documents that nothing shows", kChat, chat(R"("documents":[{"text":"x"}])"), 400, "unsupported_parameter",
       "documents"},
      {"template variable of the request", kChat, chat(R"("chat_template_kwargs":{"messages":[]})"), 400,
       "invalid_value", "chat_template_kwargs.messages"},

      // What would change the answer and is not done
      {"response_format", kChat, chat(R"("response_format":{"type":"xml"})"), 400, "invalid_value",
       "response_format.type"},
      {"audio out", kChat, chat(R"("modalities":["text","audio"])"), 400, "unsupported_parameter",
       "modalities"},
      {"reasoning effort", kChat, chat(R"("reasoning_effort":"endless")"), 400, "invalid_value",
       "reasoning_effort"},
      {"unknown parameter", kChat, chat(R"("temprature":1)"), 400, "unknown_parameter", "temprature"},
      {"unknown troupe key", kChat, chat(R"("troupe":{"magic":1})"), 400, "unknown_parameter",
       "troupe.magic"},
      {"troupe of wrong type", kChat, chat(R"("troupe":1)"), 400, "invalid_type", "troupe"},
      {"unknown drafter", kChat, chat(R"("troupe":{"speculation":{"drafter":"oracle"}})"), 400, "invalid_value",
       "troupe.speculation.drafter"},
      {"unknown speculation key", kChat, chat(R"("troupe":{"speculation":{"magic":1}})"), 400, "unknown_parameter",
       "troupe.speculation.magic"},
      {"a beam search without a width", kChat, chat(R"("troupe":{"beam":{"groups":2}})"), 400, "missing_required_parameter",
       "troupe.beam.width"},
      {"no beams", kChat, chat(R"("troupe":{"beam":{"width":0}})"), 400, "invalid_value", "troupe.beam.width"},
      {"too many beams", kChat, chat(R"("troupe":{"beam":{"width":65}})"), 400, "invalid_value", "troupe.beam.width"},
      {"unknown beam key", kChat, chat(R"("troupe":{"beam":{"width":2,"depth":1}})"), 400, "unknown_parameter", "troupe.beam.depth"},
      {"groups that do not divide", kChat, chat(R"("troupe":{"beam":{"width":4,"groups":3}})"), 400, "invalid_value", "troupe.beam"},
      {"diversity of one group", kChat, chat(R"("troupe":{"beam":{"width":4,"diversity_penalty":1}})"), 400, "invalid_value",
       "troupe.beam"},
      {"early stopping unknown", kChat, chat(R"("troupe":{"beam":{"width":4,"early_stopping":"soon"}})"), 400, "invalid_value",
       "troupe.beam.early_stopping"},
      {"more choices than beams", kChat, chat(R"("n":3,"troupe":{"beam":{"width":2}})"), 400, "invalid_value", "n"},
      {"beams and a temperature", kChat, chat(R"("temperature":0.5,"troupe":{"beam":{"width":2}})"), 400, "unsupported_parameter",
       "temperature"},
      {"beams and top_p", kChat, chat(R"("top_p":0.5,"use_beam_search":true)"), 400, "unsupported_parameter", "top_p"},
      {"beams and a penalty", kChat, chat(R"("repetition_penalty":1.1,"use_beam_search":true)"), 400, "unsupported_parameter",
       "repetition_penalty"},
      {"beams and a stop string", kChat, chat(R"("stop":"x","use_beam_search":true)"), 400, "unsupported_parameter", "stop"},
      {"beams and a form", kChat, chat(R"("guided_regex":"[a-z]","use_beam_search":true)"), 400, "unsupported_parameter",
       "guided_regex"},
      {"beams and an object", kChat, chat(R"("response_format":{"type":"json_object"},"use_beam_search":true)"), 400,
       "unsupported_parameter", "response_format"},
      {"beams and a drafter", kChat,
       chat(R"("troupe":{"beam":{"width":2},"speculation":{"drafter":"prompt-lookup"}})"), 400, "unsupported_parameter",
       "troupe.speculation.drafter"},
      {"a decoding unknown", kChat, chat(R"("troupe":{"decoding":"magic"})"), 400, "invalid_value", "troupe.decoding"},
      {"superposed settings alone", kChat, chat(R"("troupe":{"superposed":{"alpha":0.5}})"), 400, "unsupported_parameter",
       "troupe.superposed"},
      {"superposed and long", kChat, chat(R"("max_tokens":21,"troupe":{"decoding":"superposed"})"), 400, "invalid_value",
       "max_tokens"},
      {"superposed and beams", kChat, chat(R"("troupe":{"decoding":"superposed","beam":{"width":2}})"), 400,
       "unsupported_parameter", "troupe.beam"},
      {"superposed and vLLM's beams", kChat, chat(R"("use_beam_search":true,"troupe":{"decoding":"superposed"})"), 400,
       "unsupported_parameter", "use_beam_search"},
      {"superposed and logprobs", kChat, chat(R"("logprobs":true,"troupe":{"decoding":"superposed"})"), 400,
       "unsupported_parameter", "logprobs"},
      {"superposed and a drafter", kChat,
       chat(R"("troupe":{"decoding":"superposed","speculation":{"drafter":"prompt-lookup"}})"), 400, "unsupported_parameter",
       "troupe.speculation.drafter"},
      {"superposed and a form", kChat, chat(R"("guided_regex":"[a-z]","troupe":{"decoding":"superposed"})"), 400,
       "unsupported_parameter", "guided_regex"},
      {"superposed and a temperature", kChat, chat(R"("temperature":0.5,"troupe":{"decoding":"superposed"})"), 400,
       "unsupported_parameter", "temperature"},
      {"superposed and a preset", kChat, chat(R"("troupe":{"decoding":"superposed","preset":"sharpened"})"), 400,
       "unsupported_parameter", "troupe.preset"},
      {"superposed and best_of", kText, text(R"("best_of":3,"troupe":{"decoding":"superposed"})"), 400,
       "unsupported_parameter", "best_of"},
      {"superposed of few candidates", kChat,
       chat(R"("n":3,"troupe":{"decoding":"superposed","superposed":{"candidates":5}})"), 400, "invalid_value",
       "troupe.superposed"},
      {"superposed of more than n-grams", kChat,
       chat(R"("troupe":{"decoding":"superposed","superposed":{"alpha":1.5}})"), 400, "invalid_value",
       "troupe.superposed.alpha"},
      {"superposed setting unknown", kChat, chat(R"("troupe":{"decoding":"superposed","superposed":{"beta":1}})"), 400,
       "unknown_parameter", "troupe.superposed.beta"},
      {"beams twice", kChat, chat(R"("use_beam_search":true,"troupe":{"beam":{"width":2}})"), 400, "unsupported_parameter",
       "use_beam_search"},
      {"best_of is not the width", kText, text(R"("best_of":3,"troupe":{"beam":{"width":2}})"), 400, "unsupported_parameter", "best_of"},
      {"length_penalty of no search", kChat, chat(R"("length_penalty":0.5)"), 400, "unsupported_parameter", "length_penalty"},
      {"user a number", kChat, chat(R"("user":5)"), 400, "invalid_type", "user"},

      // Tokens
      {"tokenize nothing", "/tokenize", R"({"model":"small"})", 400, "missing_required_parameter", "prompt"},
      {"tokenize two things", "/tokenize", R"({"model":"small","prompt":"x","messages":[{"role":"user"}]})",
       400, "missing_required_parameter", "prompt"},
      {"tokenize an unknown model", "/tokenize", R"({"model":"y","prompt":"x"})", 404, "model_not_found",
       "model"},
      {"detokenize nothing", "/detokenize", R"({"model":"small"})", 400, "missing_required_parameter",
       "tokens"},
      {"detokenize text", "/detokenize", R"({"model":"small","tokens":["x"]})", 400, "invalid_type",
       "tokens[0]"},
      {"detokenize an unknown id", "/detokenize", R"({"model":"small","tokens":[5000]})", 400,
       "invalid_value", "tokens"},
      {"unknown path", "/v1/chat", "{}", 404, "not_found", nullptr},
  };
  std::string many = "{";
  for (int i = 0; i < 2000; ++i) many += "\"k" + std::to_string(i) + "\":null,";
  list.push_back({"an object of too many keys", kChat, many + "\"z\":1}", 400, "malformed_json", nullptr});
  return list;
}

class BadInput : public EdgeTest {};

TEST_F(BadInput, GetsItsOwnErrorAndReachesNoWorker) {
  start();
  HttpClient client(port());  // one connection for all: an error leaves it usable
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what);
    const Answer answer = client.call("POST", c.path, c.body, c.body.empty() ? "Content-Length: 0\r\n" : "");
    EXPECT_EQ(answer.status, c.status) << answer.body;
    const json body = json::parse(answer.body, nullptr, false);
    ASSERT_TRUE(body.is_object()) << answer.body;
    const json& error = body["error"];
    EXPECT_EQ(error["code"], c.code) << answer.body;
    EXPECT_EQ(error["param"], c.param == nullptr ? json(nullptr) : json(c.param)) << answer.body;
    EXPECT_EQ(error["type"], "invalid_request_error");
    EXPECT_FALSE(error["message"].get<std::string>().empty());
  }
  EXPECT_GE(cases().size(), 60u);
  EXPECT_TRUE(dispatcher_.seen().empty());
}

TEST_F(BadInput, TooLongAPromptNamesBothNumbers) {
  start();
  const Answer answer = post(kText, prompt("\"" + std::string(300, 'x') + "\""));
  EXPECT_NE(answer.body.find("256"), std::string::npos);
  EXPECT_NE(answer.body.find("300"), std::string::npos);
  const Answer second = post(kText, text(R"("max_tokens":256)"));
  EXPECT_NE(second.body.find("256"), std::string::npos);
  EXPECT_NE(second.body.find("257"), std::string::npos);
}

TEST_F(BadInput, NoTemplateNamesTheOtherEndpoint) {
  start();
  const Answer answer = post(kChat, R"({"model":"raw","messages":[{"role":"user","content":"x"}]})");
  EXPECT_NE(answer.body.find("/v1/completions"), std::string::npos);
}

TEST_F(BadInput, UnknownTroupeKeyNamesTheKnownOnes) {
  start();
  EXPECT_NE(post(kChat, chat(R"("troupe":{"magic":1})")).body.find("token_ids"), std::string::npos);
}

TEST_F(BadInput, WhatABeamSearchDoesNotGoWithIsNamedBesideIt) {
  start();
  const Answer answer = post(kChat, chat(R"("temperature":0.5,"troupe":{"beam":{"width":2}})"));
  EXPECT_NE(answer.body.find("temperature"), std::string::npos);
  EXPECT_NE(answer.body.find("troupe.beam"), std::string::npos);
}

TEST_F(BadInput, ModelWithoutAReadyWorkerIs503) {
  start();
  const Answer answer = post(kChat, R"({"model":"asleep","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(json::parse(answer.body)["error"]["code"], "no_ready_worker");
}

TEST_F(BadInput, HarmlessAndDefaultValuesAreAccepted) {
  start();
  for (const char* member : {R"("user":"me")",
                             R"("metadata":{"a":"b"})",
                             R"("store":true)",
                             R"("service_tier":"auto")",
                             R"("tools":[])",
                             R"("tools":null)",
                             R"("tool_choice":"none")",
                             R"("tool_choice":"auto")",
                             R"("tool_choice":{})",
                             R"("documents":[])",
                             R"("chat_template_kwargs":{"unheard_of":true})",
                             R"("reasoning_format":"auto")",
                             R"("response_format":{"type":"text"})",
                             R"("modalities":["text"])",
                             R"("audio":null)",
                             R"("novelty":null)",
                             R"("novelty":"")",
                             R"("novelty":[])",
                             R"("novelty":{})",
                             R"("stop":null)",
                             R"("stop":[])",
                             R"("stop":"")",
                             R"("logit_bias":{})",
                             R"("n":null)",
                             R"("temperature":0)",
                             R"("temperature":2)",
                             R"("top_p":0)",
                             R"("top_k":-1)",
                             R"("seed":-9223372036854775808)",
                             R"("seed":9223372036854775807)",
                             R"("troupe":{})",
                             R"("troupe":null)",
                             R"("troupe":{"speculation":{}})",
                             R"("troupe":{"speculation":{"drafter":"off"}})",
                             R"("troupe":{"speculation":{"drafter":"prompt-lookup"}})",
                             R"("use_beam_search":false,"length_penalty":1.0)",
                             R"("use_beam_search":true,"n":3,"length_penalty":0.5,"temperature":0,"top_p":1,"top_k":-1)",
                             R"("troupe":{"beam":{"width":4,"groups":2,"diversity_penalty":0.5,"early_stopping":"never"}},"stop":[])",
                             R"("troupe":{"beam":null})",
                             R"("troupe":{"preset":""})",
                             R"("troupe":{"decoding":"","superposed":{}})",
                             R"("troupe":{"decoding":"superposed"},"max_tokens":20,"n":16)",
                             R"("logprobs":false)",
                             R"("stream":false)",
                             R"("stream_options":null)",
                             R"("max_tokens":5,"max_completion_tokens":5)",
                             R"("parallel_tool_calls":false)",
                             R"("n":16)"}) {
    SCOPED_TRACE(member);
    const Answer answer = post(kChat, chat(member));
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
}

}  // namespace
}  // namespace troupe::test
