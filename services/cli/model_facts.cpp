#include "services/cli/model_facts.hpp"

#include "common/config/model_catalog.hpp"
#include "common/encoder/bert_file.hpp"
#include "common/engine/model_runner.hpp"
#include "common/model/model.hpp"

namespace troupe::cli {

Expected<ModelFacts> read_model_facts(const std::filesystem::path& path, backend::DType kv_dtype) {
  if (holds_encoder(path)) {
    const auto bert = encoder::BertFile::open(path);
    if (!bert) return tl::unexpected<Error>(bert.error());
    return ModelFacts{(*bert)->weight_bytes(), 0, (*bert)->config().context};
  }
  const auto model = Model::load(path);
  if (!model) return tl::unexpected<Error>(model.error());
  return ModelFacts{(*model)->weight_bytes(), engine::page_bytes((*model)->config(), kv_dtype),
                    (*model)->config().context_length};
}

backend::DType kv_dtype_of(const Config& config) {
  if (config.text("engine.numerics") == "reference") return backend::DType::f32;
  return config.text("kv.codec") == "int8" ? backend::DType::i8 : backend::DType::f16;
}

}  // namespace troupe::cli
