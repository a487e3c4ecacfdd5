#include "services/gateway/openapi/answers.hpp"

#include <string_view>

namespace troupe::gateway::openapi {
namespace {

constexpr std::string_view kOpenAi = R"json({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object", "required": ["message", "type", "param", "code"],
  "properties": {
    "message": {"type": "string", "description": "What was found, and what was expected."},
    "type": {"enum": ["invalid_request_error", "authentication_error", "rate_limit_error", "server_error"]},
    "param": {"type": ["string", "null"], "description": "The field at fault, as a path."},
    "code": {"type": "string", "description": "Stable; what clients branch on."}}}}},
"Usage": {"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"], "properties": {
  "prompt_tokens": {"type": "integer", "minimum": 0}, "completion_tokens": {"type": "integer", "minimum": 0},
  "total_tokens": {"type": "integer", "minimum": 0},
  "prompt_tokens_details": {"type": "object", "properties": {"cached_tokens": {"type": "integer", "minimum": 0}}},
  "completion_tokens_details": {"type": "object", "properties": {"reasoning_tokens": {"type": "integer", "minimum": 0},
    "accepted_prediction_tokens": {"type": "integer", "minimum": 0}, "rejected_prediction_tokens": {"type": "integer", "minimum": 0}}}}},
"ScoredToken": {"type": "object", "required": ["token", "logprob", "bytes"], "properties": {"token": {"type": "string"},
  "logprob": {"type": "number"}, "bytes": {"type": ["array", "null"], "items": {"type": "integer", "minimum": 0, "maximum": 255}},
  "top_logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/ScoredToken"}}}},
"TroupeReport": {"type": "object", "properties": {"token_ids": {"type": "array", "items": {"type": "integer", "minimum": 0}},
  "drafted": {"type": "array", "items": {"type": "boolean"}}, "score": {"type": "number"}}},
"ChatAnswer": {"type": "object", "required": ["role", "content", "refusal"], "properties": {"role": {"const": "assistant"},
  "content": {"type": ["string", "null"]}, "refusal": {"type": "null"}, "reasoning_content": {"type": "string"},
  "tool_calls": {"type": "array", "items": {"type": "object", "required": ["id", "type", "function"], "properties": {"id": {"type": "string"},
    "type": {"const": "function"}, "function": {"type": "object", "required": ["name", "arguments"],
      "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}}}}}}}},
"ChatCompletion": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
  "id": {"type": "string", "pattern": "^chatcmpl-[0-9a-f]{32}$"}, "object": {"const": "chat.completion"}, "created": {"type": "integer"},
  "model": {"type": "string"}, "system_fingerprint": {"type": "string"}, "service_tier": {"type": "string"},
  "lossy": {"type": "array", "items": {"type": "string"}, "description": "Techniques that changed the answer."},
  "choices": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["index", "message", "logprobs", "finish_reason"],
    "properties": {"index": {"type": "integer", "minimum": 0}, "message": {"$ref": "#/components/schemas/ChatAnswer"},
      "logprobs": {"type": ["object", "null"], "properties": {"content": {"type": "array", "items": {"$ref": "#/components/schemas/ScoredToken"}}}},
      "finish_reason": {"enum": ["stop", "length", "tool_calls"]}, "troupe": {"$ref": "#/components/schemas/TroupeReport"}}}},
  "prompt_logprobs": {"type": "array"}, "usage": {"$ref": "#/components/schemas/Usage"}}},
"Completion": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
  "id": {"type": "string", "pattern": "^cmpl-[0-9a-f]{32}$"}, "object": {"const": "text_completion"}, "created": {"type": "integer"},
  "model": {"type": "string"}, "system_fingerprint": {"type": "string"}, "service_tier": {"type": "string"},
  "lossy": {"type": "array", "items": {"type": "string"}},
  "choices": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["index", "text", "logprobs", "finish_reason"],
    "properties": {"index": {"type": "integer", "minimum": 0}, "text": {"type": "string"}, "finish_reason": {"enum": ["stop", "length"]},
      "logprobs": {"type": ["object", "null"], "required": ["tokens", "token_logprobs", "top_logprobs", "text_offset"], "properties": {
        "tokens": {"type": "array", "items": {"type": "string"}}, "token_logprobs": {"type": "array", "items": {"type": ["number", "null"]}},
        "top_logprobs": {"type": "array", "items": {"type": ["object", "null"], "additionalProperties": {"type": "number"}}},
        "text_offset": {"type": "array", "items": {"type": "integer", "minimum": 0}}}},
      "prompt_logprobs": {"type": "array"}, "troupe": {"$ref": "#/components/schemas/TroupeReport"}}}},
  "usage": {"$ref": "#/components/schemas/Usage"}}},
"Response": {"type": "object", "required": ["id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "usage", "store"],
  "properties": {"id": {"type": "string", "pattern": "^resp_[0-9a-f]{32}$"}, "object": {"const": "response"}, "created_at": {"type": "integer"},
  "status": {"enum": ["in_progress", "completed", "incomplete", "failed"]}, "error": {"type": ["object", "null"]},
  "incomplete_details": {"type": ["object", "null"]}, "model": {"type": "string"}, "store": {"type": "boolean"},
  "output": {"type": "array", "items": {"type": "object", "required": ["id", "type", "status"], "properties": {"id": {"type": "string"},
    "type": {"enum": ["message", "reasoning", "function_call"]}, "status": {"enum": ["in_progress", "completed", "incomplete"]}}}},
  "usage": {"type": ["object", "null"], "required": ["input_tokens", "output_tokens", "total_tokens"]},
  "lossy": {"type": "array", "items": {"type": "string"}}}},
"InputTokens": {"type": "object", "required": ["object", "input_tokens"],
  "properties": {"object": {"const": "response.input_tokens"}, "input_tokens": {"type": "integer", "minimum": 0}}},
"Deleted": {"type": "object", "required": ["id", "object", "deleted"],
  "properties": {"id": {"type": "string"}, "object": {"enum": ["response", "file"]}, "deleted": {"const": true}}},
"ItemList": {"type": "object", "required": ["object", "data", "first_id", "last_id", "has_more"], "properties": {"object": {"const": "list"},
  "data": {"type": "array", "items": {"type": "object", "required": ["type"]}}, "first_id": {"type": "string"}, "last_id": {"type": "string"},
  "has_more": {"type": "boolean"}}},
"EmbeddingList": {"type": "object", "required": ["object", "data", "model", "usage"], "properties": {"object": {"const": "list"},
  "model": {"type": "string"}, "data": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["object", "index", "embedding"],
    "properties": {"object": {"const": "embedding"}, "index": {"type": "integer", "minimum": 0},
      "embedding": {"type": ["array", "string"], "items": {"type": "number"}}}}}, "usage": {"$ref": "#/components/schemas/VectorUsage"}}},
"VectorUsage": {"type": "object", "required": ["prompt_tokens", "total_tokens"],
  "properties": {"prompt_tokens": {"type": "integer", "minimum": 0}, "total_tokens": {"type": "integer", "minimum": 0}}},
"RerankAnswer": {"type": "object", "required": ["id", "model", "results", "usage"], "properties": {"id": {"type": "string"}, "model": {"type": "string"},
  "results": {"type": "array", "items": {"type": "object", "required": ["index", "relevance_score"], "properties": {
    "index": {"type": "integer", "minimum": 0}, "relevance_score": {"type": "number"},
    "document": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}},
  "usage": {"$ref": "#/components/schemas/VectorUsage"}}},
"ScoreAnswer": {"type": "object", "required": ["id", "object", "created", "model", "data", "usage"], "properties": {"id": {"type": "string"},
  "object": {"const": "list"}, "created": {"type": "integer"}, "model": {"type": "string"},
  "data": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["index", "object", "score"], "properties": {
    "index": {"type": "integer", "minimum": 0}, "object": {"const": "score"}, "score": {"type": "number"}}}},
  "usage": {"$ref": "#/components/schemas/VectorUsage"}}},
"Model": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
  "owned_by": {"type": "string"}, "max_model_len": {"type": "integer", "minimum": 0}, "fingerprint": {"type": "string"},
  "numerics": {"type": "string"}, "ready_workers": {"type": "integer", "minimum": 0}, "chat": {"type": "boolean"},
  "type": {"const": "model"}, "display_name": {"type": "string"}, "created_at": {"type": "string"}, "max_input_tokens": {"type": "integer"}}},
"ModelError": {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"$ref": "#/components/schemas/AnthropicError"}],
  "description": "As anthropic-version asks for it."},
"ModelList": {"type": "object", "required": ["data"], "properties": {"object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}, "has_more": {"type": "boolean"},
  "first_id": {"type": ["string", "null"]}, "last_id": {"type": ["string", "null"]}}}
})json";

constexpr std::string_view kOthers = R"json({
"File": {"type": "object", "required": ["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status"], "properties": {
  "id": {"type": "string"}, "object": {"const": "file"}, "bytes": {"type": "integer", "minimum": 0}, "created_at": {"type": "integer"},
  "expires_at": {"type": ["integer", "null"]}, "filename": {"type": "string"}, "purpose": {"enum": ["batch", "batch_output"]},
  "status": {"const": "processed"}, "status_details": {"type": "null"}}},
"FileList": {"type": "object", "required": ["object", "data", "first_id", "last_id", "has_more"], "properties": {"object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/File"}}, "first_id": {"type": ["string", "null"]},
  "last_id": {"type": ["string", "null"]}, "has_more": {"type": "boolean"}}},
"Batch": {"type": "object", "required": ["id", "object", "endpoint", "input_file_id", "completion_window", "status", "created_at", "request_counts"],
  "properties": {"id": {"type": "string", "pattern": "^batch_[0-9a-f]{32}$"}, "object": {"const": "batch"}, "endpoint": {"type": "string"},
  "model": {"type": ["string", "null"]}, "errors": {"type": ["object", "null"]}, "input_file_id": {"type": "string"},
  "completion_window": {"const": "24h"},
  "status": {"enum": ["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]},
  "output_file_id": {"type": ["string", "null"]}, "error_file_id": {"type": ["string", "null"]}, "created_at": {"type": ["integer", "null"]},
  "request_counts": {"type": "object", "required": ["total", "completed", "failed"], "properties": {"total": {"type": "integer", "minimum": 0},
    "completed": {"type": "integer", "minimum": 0}, "failed": {"type": "integer", "minimum": 0}}},
  "metadata": {"type": ["object", "null"]}}},
"BatchList": {"type": "object", "required": ["object", "data", "first_id", "last_id", "has_more"], "properties": {"object": {"const": "list"},
  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Batch"}}, "first_id": {"type": ["string", "null"]},
  "last_id": {"type": ["string", "null"]}, "has_more": {"type": "boolean"}}},
"Trace": {"type": "object", "required": ["traceEvents"], "properties": {"traceEvents": {"type": "array", "items": {"type": "object"}}}},
"Tokens": {"type": "object", "required": ["count", "max_model_len", "tokens"], "properties": {"count": {"type": "integer", "minimum": 0},
  "max_model_len": {"type": "integer", "minimum": 0}, "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}},
  "token_strs": {"type": "array", "items": {"type": "string"}}}},
"DetokenizedText": {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
"AnthropicError": {"type": "object", "required": ["type", "error"], "properties": {"type": {"const": "error"},
  "error": {"type": "object", "required": ["type", "message"], "properties": {"type": {"enum": ["invalid_request_error", "authentication_error",
    "permission_error", "not_found_error", "request_too_large", "rate_limit_error", "timeout_error", "overloaded_error", "api_error"]},
    "message": {"type": "string"}}}}},
"ThinkingBlock": {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["thinking", "redacted_thinking"]},
  "thinking": {"type": "string"}}},
"Message": {"type": "object", "required": ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"], "properties": {
  "id": {"type": "string", "pattern": "^msg_"}, "type": {"const": "message"}, "role": {"const": "assistant"}, "model": {"type": "string"},
  "content": {"type": "array", "items": {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["text", "thinking", "tool_use"]}}}},
  "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]},
  "stop_sequence": {"type": ["string", "null"]},
  "usage": {"type": "object", "required": ["input_tokens", "output_tokens"], "properties": {"input_tokens": {"type": "integer", "minimum": 0},
    "cache_creation_input_tokens": {"type": "integer", "minimum": 0}, "cache_read_input_tokens": {"type": "integer", "minimum": 0},
    "output_tokens": {"type": "integer", "minimum": 0}}}}},
"TokenCount": {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": {"type": "integer", "minimum": 0}}},
"OllamaError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
"ChatLine": {"type": "object", "required": ["model", "created_at", "message", "done"], "properties": {"model": {"type": "string"},
  "created_at": {"type": "string"}, "message": {"type": "object", "required": ["role", "content"], "properties": {"role": {"const": "assistant"},
    "content": {"type": "string"}, "thinking": {"type": "string"}, "tool_calls": {"type": "array"}}}, "done": {"type": "boolean"},
  "done_reason": {"enum": ["stop", "length", "load"]}, "total_duration": {"type": "integer", "minimum": 0}, "load_duration": {"type": "integer", "minimum": 0},
  "prompt_eval_count": {"type": "integer", "minimum": 0}, "eval_count": {"type": "integer", "minimum": 0},
  "logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/ScoredToken"}}}},
"GenerateLine": {"type": "object", "required": ["model", "created_at", "response", "done"], "properties": {"model": {"type": "string"},
  "created_at": {"type": "string"}, "response": {"type": "string"}, "thinking": {"type": "string"}, "done": {"type": "boolean"},
  "done_reason": {"enum": ["stop", "length", "load"]}, "total_duration": {"type": "integer", "minimum": 0}, "load_duration": {"type": "integer", "minimum": 0},
  "prompt_eval_count": {"type": "integer", "minimum": 0}, "eval_count": {"type": "integer", "minimum": 0},
  "logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/ScoredToken"}}}},
"CardList": {"type": "object", "required": ["models"], "properties": {"models": {"type": "array", "items": {"type": "object",
  "required": ["name", "model", "size", "digest", "details"], "properties": {"name": {"type": "string"}, "model": {"type": "string"},
    "size": {"type": "integer", "minimum": 0}, "digest": {"type": "string"}, "details": {"type": "object"}}}}}},
"ModelCard": {"type": "object", "required": ["modelfile", "template", "details", "model_info", "capabilities"], "properties": {
  "modelfile": {"type": "string"}, "template": {"type": "string"}, "details": {"type": "object"}, "model_info": {"type": "object"},
  "capabilities": {"type": "array", "items": {"enum": ["completion", "tools", "thinking"]}}, "modified_at": {"type": "string"}}},
"Version": {"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}},
"AnyObject": {"type": "object"},
"State": {"type": "object", "required": ["in_flight", "http_in_flight", "connections", "text_queue", "draining", "models"], "properties": {
  "in_flight": {"type": "integer", "minimum": 0}, "http_in_flight": {"type": "integer", "minimum": 0}, "connections": {"type": "integer", "minimum": 0},
  "text_queue": {"type": "integer", "minimum": 0}, "draining": {"type": "boolean"},
  "models": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},
"TechniqueList": {"type": "object", "required": ["techniques"], "properties": {"techniques": {"type": "array", "items": {"type": "object",
  "required": ["name", "summary", "class"]}}}},
"RunList": {"type": "object", "required": ["runs"], "properties": {"runs": {"type": "array", "items": {"type": "string"}}}},
"Accepted": {"type": "object", "required": ["accepted"], "properties": {"accepted": {"const": true}}}
})json";

}  // namespace

Json answer_schemas() {
  Json out = Json::parse(kOpenAi);
  out.update(Json::parse(kOthers));
  return out;
}

}  // namespace troupe::gateway::openapi
