// The peer's logits of given token sequences, so that its numerics can be compared with the oracle's and with ours.
//
//   peer_logits MODEL TOKENS OUT [THREADS [FLASH_ATTENTION: auto on off]]
//
// TOKENS: one sequence a line, ids separated by spaces. OUT: "TROUPELG", then u32 vocabulary, u32 rows, then the rows, float32,
// little endian, in the order of the file. Each sequence is one batch from an empty context, with the peer's own defaults.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

namespace {

[[noreturn]] void die(const std::string& problem) {
  std::fprintf(stderr, "peer_logits: %s\n", problem.c_str());
  std::exit(1);
}

std::vector<std::vector<llama_token>> read_sequences(const char* path) {
  std::ifstream in(path);
  if (!in) die(std::string("cannot open ") + path);
  std::vector<std::vector<llama_token>> sequences;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::vector<llama_token> tokens;
    for (llama_token token = 0; words >> token;) tokens.push_back(token);
    if (!tokens.empty()) sequences.push_back(std::move(tokens));
  }
  if (sequences.empty()) die(std::string("no tokens in ") + path);
  return sequences;
}

void quiet(ggml_log_level level, const char* text, void*) {
  if (level >= GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

/// Logits of every position, appended to `out`.
void append_logits(llama_model* model, const std::vector<llama_token>& tokens, int threads, llama_flash_attn_type flash,
                   int vocabulary, std::ofstream& out) {
  const auto count = static_cast<std::int32_t>(tokens.size());
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(count < 64 ? 64 : count);
  params.n_batch = params.n_ubatch = params.n_ctx;
  params.n_threads = params.n_threads_batch = threads;
  params.flash_attn_type = flash;
  const std::unique_ptr<llama_context, void (*)(llama_context*)> context(llama_init_from_model(model, params), llama_free);
  if (!context) die("the context was refused");
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (std::int32_t i = 0; i < count; ++i) {
    batch.token[i] = tokens[static_cast<std::size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  if (llama_decode(context.get(), batch) != 0) die("decoding failed");
  for (std::int32_t i = 0; i < count; ++i)
    out.write(reinterpret_cast<const char*>(llama_get_logits_ith(context.get(), i)),
              static_cast<std::streamsize>(sizeof(float)) * vocabulary);
  llama_batch_free(batch);
}

llama_flash_attn_type parse_flash(const std::string& text) {
  if (text == "auto") return LLAMA_FLASH_ATTN_TYPE_AUTO;
  if (text == "on") return LLAMA_FLASH_ATTN_TYPE_ENABLED;
  if (text == "off") return LLAMA_FLASH_ATTN_TYPE_DISABLED;
  die("flash attention: expected auto, on or off, found " + text);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) die("usage: peer_logits MODEL TOKENS OUT [THREADS [auto|on|off]]");
  const auto sequences = read_sequences(argv[2]);
  const int threads = argc > 4 ? std::atoi(argv[4]) : 2;
  if (threads < 1) die(std::string("threads: expected a number above 0, found ") + argv[4]);
  const llama_flash_attn_type flash = parse_flash(argc > 5 ? argv[5] : "auto");
  llama_log_set(quiet, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) die(std::string("cannot load ") + argv[1]);
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  std::uint32_t header[2] = {static_cast<std::uint32_t>(vocabulary), 0};
  for (const auto& tokens : sequences) header[1] += static_cast<std::uint32_t>(tokens.size());
  std::ofstream out(argv[3], std::ios::binary);
  out.write("TROUPELG", 8);
  out.write(reinterpret_cast<const char*>(header), sizeof header);
  for (const auto& tokens : sequences) append_logits(model, tokens, threads, flash, vocabulary, out);
  out.flush();
  if (!out) die(std::string("cannot write ") + argv[3]);
  llama_model_free(model);
  llama_backend_free();
  return 0;
}
