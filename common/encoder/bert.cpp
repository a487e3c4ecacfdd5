#include "common/encoder/bert.hpp"

#include <algorithm>
#include <utility>

#include "common/encoder/math.hpp"

namespace troupe::encoder {
namespace {

using backend::DType;
using backend::TensorRef;
using BufferPtr = std::unique_ptr<backend::Buffer>;
using WeightPtr = std::unique_ptr<backend::Weight>;
using Floats = std::vector<float>;

struct Layer {
  WeightPtr query, key, value, attended, up, down;
  WeightPtr query_bias, key_bias, value_bias, attended_bias, up_bias, down_bias;
  Floats attended_norm, attended_norm_bias, norm, norm_bias;
};

class Runner final : public Bert {
 public:
  Runner(std::shared_ptr<const BertFile> file, std::shared_ptr<backend::Backend> backend,
         std::uint32_t max_rows)
      : file_(std::move(file)),
        backend_(std::move(backend)),
        config_(file_->config()),
        max_rows_(max_rows),
        stream_(backend_->make_stream()) {}

  Expected<void> prepare(const std::function<void(double)>& on_load) {
    positions_ = file_->floats(BertTensor::positions);
    types_ = file_->floats(BertTensor::types);
    norm_ = file_->floats(BertTensor::norm_weight);
    norm_bias_ = file_->floats(BertTensor::norm_bias);
    layers_.resize(config_.layers);
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      TROUPE_TRY(load(layer));
      if (on_load) on_load(static_cast<double>(layer + 1) / config_.layers);
    }
    const std::uint32_t widest = std::max(config_.width, config_.ffn_width);
    const std::size_t bytes = std::size_t{max_rows_} * widest * sizeof(float);
    for (BufferPtr* buffer : {&in_, &out_[0], &out_[1], &out_[2]}) {
      auto made = backend_->allocate(bytes);
      TROUPE_TRY(made);
      *buffer = std::move(*made);
    }
    auto made = backend_->allocate(backend_->activation_bytes(max_rows_, widest));
    TROUPE_TRY(made);
    prepared_ = std::move(*made);
    return {};
  }

  const BertFile& file() const override { return *file_; }

  std::span<const float> forward(std::span<const TokenId> tokens, std::span<const std::uint32_t> lengths,
                                 const std::function<bool()>& after_layer) override {
    TROUPE_CHECK(tokens.size() <= max_rows_, "a pass has more tokens than it was made for");
    rows_ = static_cast<std::uint32_t>(tokens.size());
    embed(tokens, lengths);
    for (const Layer& layer : layers_) {
      attention_part(layer, lengths);
      ffn_part(layer);
      if (after_layer && !after_layer()) return {};
    }
    return x_;
  }

 private:
  Expected<void> load(std::uint32_t layer) {
    using enum LayerTensor;
    Layer& to = layers_[layer];
    const std::uint32_t width = config_.width, ffn = config_.ffn_width;
    struct Matrix {
      WeightPtr* to;
      LayerTensor from;
      std::uint32_t n, k;
    };
    for (const Matrix& matrix :
         {Matrix{&to.query, query, width, width}, Matrix{&to.key, key, width, width},
          Matrix{&to.value, value, width, width}, Matrix{&to.attended, attended, width, width},
          Matrix{&to.up, up, ffn, width}, Matrix{&to.down, down, width, ffn}}) {
      const Floats values = file_->floats(layer, matrix.from);
      auto made =
          backend_->make_matrix(gguf::TensorType::f32, matrix.n, matrix.k, std::as_bytes(std::span(values)));
      TROUPE_TRY(made);
      *matrix.to = std::move(*made);
    }
    for (const auto& [place, from] :
         {std::pair(&to.query_bias, query_bias), std::pair(&to.key_bias, key_bias),
          std::pair(&to.value_bias, value_bias), std::pair(&to.attended_bias, attended_bias),
          std::pair(&to.up_bias, up_bias), std::pair(&to.down_bias, down_bias)}) {
      const Floats values = file_->floats(layer, from);
      auto made = backend_->make_vector(gguf::TensorType::f32, static_cast<std::uint32_t>(values.size()),
                                        std::as_bytes(std::span(values)));
      TROUPE_TRY(made);
      *place = std::move(*made);
    }
    to.attended_norm = file_->floats(layer, attended_norm);
    to.attended_norm_bias = file_->floats(layer, attended_norm_bias);
    to.norm = file_->floats(layer, norm);
    to.norm_bias = file_->floats(layer, norm_bias);
    return {};
  }

  /// Word, position and type of each token. All are of the first type: a text alone has no second part.
  void embed(std::span<const TokenId> tokens, std::span<const std::uint32_t> lengths) {
    const std::size_t width = config_.width;
    x_.resize(tokens.size() * width);
    std::size_t row = 0;
    for (const std::uint32_t length : lengths) {
      TROUPE_CHECK(length <= config_.context && row + length <= tokens.size(),
                   "a text is longer than the context, or than the pass");
      for (std::size_t position = 0; position < length; ++position, ++row) {
        const std::span<float> x = std::span(x_).subspan(row * width, width);
        file_->word(static_cast<std::uint32_t>(tokens[row]), x);
        for (std::size_t i = 0; i < width; ++i) x[i] = (x[i] + types_[i]) + positions_[position * width + i];
      }
    }
    TROUPE_CHECK(row == tokens.size(), "texts do not add up to their tokens");
    layer_norm(x_, norm_, norm_bias_, config_.norm_eps);
  }

  void attention_part(const Layer& layer, std::span<const std::uint32_t> lengths) {
    const std::uint32_t width = config_.width;
    const backend::Product qkv[] = {{layer.query.get(), layer.query_bias.get(), out(0, width)},
                                    {layer.key.get(), layer.key_bias.get(), out(1, width)},
                                    {layer.value.get(), layer.value_bias.get(), out(2, width)}};
    multiply(x_, width, qkv);
    for (std::size_t i = 0; i < 3; ++i) read(i, width, qkv_[i]);
    attended_.resize(x_.size());
    std::size_t begin = 0;
    for (const std::uint32_t length : lengths) {
      const std::size_t size = std::size_t{length} * width;
      const auto part = [&](const Floats& of) { return std::span<const float>(of).subspan(begin, size); };
      attend(part(qkv_[0]), part(qkv_[1]), part(qkv_[2]), config_.heads, width / config_.heads,
             std::span(attended_).subspan(begin, size));
      begin += size;
    }
    const backend::Product result[] = {{layer.attended.get(), layer.attended_bias.get(), out(0, width)}};
    multiply(attended_, width, result);
    add_and_norm(layer.attended_norm, layer.attended_norm_bias);
  }

  void ffn_part(const Layer& layer) {
    const backend::Product up[] = {{layer.up.get(), layer.up_bias.get(), out(0, config_.ffn_width)}};
    multiply(x_, config_.width, up);
    read(0, config_.ffn_width, hidden_);
    gelu(hidden_);
    const backend::Product down[] = {{layer.down.get(), layer.down_bias.get(), out(0, config_.width)}};
    multiply(hidden_, config_.ffn_width, down);
    add_and_norm(layer.norm, layer.norm_bias);
  }

  /// x = norm(x + what the last product gave).
  void add_and_norm(const Floats& weight, const Floats& bias) {
    read(0, config_.width, y_);
    for (std::size_t i = 0; i < x_.size(); ++i) x_[i] += y_[i];
    layer_norm(x_, weight, bias, config_.norm_eps);
  }

  [[nodiscard]] TensorRef view(const BufferPtr& buffer, DType dtype, std::uint32_t cols) const {
    return {buffer.get(), 0, dtype, rows_, cols, cols};
  }
  [[nodiscard]] TensorRef out(std::size_t which, std::uint32_t cols) const {
    return view(out_[which], DType::f32, cols);
  }

  void multiply(const Floats& rows, std::uint32_t cols, std::span<const backend::Product> products) {
    backend_->upload(*stream_, *in_, 0, std::as_bytes(std::span(rows)));
    const TensorRef prepared = view(prepared_, DType::activation, cols);
    backend_->prepare(*stream_, view(in_, DType::f32, cols), prepared);
    backend_->linear_group(*stream_, prepared, products);
    backend_->synchronize(*stream_);
  }
  void read(std::size_t which, std::uint32_t cols, Floats& to) {
    to.resize(std::size_t{rows_} * cols);
    backend_->download(*stream_, std::as_writable_bytes(std::span(to)), *out_[which], 0);
    backend_->synchronize(*stream_);
  }

  const std::shared_ptr<const BertFile> file_;
  const std::shared_ptr<backend::Backend> backend_;
  const BertConfig& config_;
  const std::uint32_t max_rows_;
  const std::unique_ptr<backend::Stream> stream_;
  std::vector<Layer> layers_;
  Floats positions_, types_, norm_, norm_bias_;
  BufferPtr in_, prepared_, out_[3];
  Floats x_, y_, hidden_, attended_, qkv_[3];  ///< of the pass
  std::uint32_t rows_ = 0;
};

}  // namespace

Expected<std::unique_ptr<Bert>> Bert::create(std::shared_ptr<const BertFile> file,
                                             std::shared_ptr<backend::Backend> backend,
                                             std::uint32_t max_rows,
                                             const std::function<void(double)>& on_load) {
  if (backend->numerics() != backend::Numerics::reference)
    return fail(Errc::invalid_argument, "an encoder computes in float32");
  auto runner = std::make_unique<Runner>(std::move(file), std::move(backend), max_rows);
  TROUPE_TRY(runner->prepare(on_load));
  return runner;
}

}  // namespace troupe::encoder
