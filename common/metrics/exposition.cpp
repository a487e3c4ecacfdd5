#include "common/metrics/exposition.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace troupe::metrics {
namespace {

constexpr std::string_view kTotal = "_total";

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), end);
}

/// Always with a point or an exponent, as OpenMetrics wants it.
std::string bound_text(double bound) {
  std::string text;
  append_number(text, bound);
  if (text.find_first_of(".eI") == std::string::npos) text += ".0";
  return text;
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

std::string_view type_name(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "gauge";
  }
}

}  // namespace

void ExpositionWriter::begin_family(const std::string& name, const std::string& help,
                                    prometheus::MetricType type) {
  std::string_view family = name;
  if (format_ == Format::openmetrics && type == prometheus::MetricType::Counter && family.ends_with(kTotal))
    family.remove_suffix(kTotal.size());  // there the suffix belongs to the sample
  out_.append("# HELP ").append(family).append(" ");
  append_escaped(out_, help, format_ == Format::openmetrics);
  out_.append("\n# TYPE ").append(family).append(" ").append(type_name(type)).append("\n");
}

void ExpositionWriter::add(const std::string& name, prometheus::MetricType type,
                           const prometheus::ClientMetric& metric, const Exemplars* exemplars) {
  if (type == prometheus::MetricType::Histogram) return histogram(name, metric, exemplars);
  const double value = type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
  sample(name, {}, metric.label, {}, value);
  out_ += '\n';
}

void ExpositionWriter::histogram(const std::string& name, const prometheus::ClientMetric& metric,
                                 const Exemplars* exemplars) {
  const auto& buckets = metric.histogram.bucket;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    sample(name, "_bucket", metric.label, bound_text(buckets[i].upper_bound),
           static_cast<double>(buckets[i].cumulative_count));
    if (exemplars != nullptr && i < exemplars->size() && (*exemplars)[i] && format_ == Format::openmetrics)
      exemplar(*(*exemplars)[i]);
    out_ += '\n';
  }
  sample(name, "_sum", metric.label, {}, metric.histogram.sample_sum);
  out_ += '\n';
  sample(name, "_count", metric.label, {}, static_cast<double>(metric.histogram.sample_count));
  out_ += '\n';
}

void ExpositionWriter::sample(const std::string& name, std::string_view suffix, const Labels& labels,
                              std::string_view bound, double value) {
  out_.append(name).append(suffix);
  const char* before = "{";
  const auto label = [&](std::string_view key, std::string_view text) {
    out_.append(before).append(key).append("=\"");
    append_escaped(out_, text, true);
    out_ += '"';
    before = ",";
  };
  for (const auto& each : labels) label(each.name, each.value);
  if (!bound.empty()) label("le", bound);
  out_ += *before == ',' ? "} " : " ";
  append_number(out_, value);
}

void ExpositionWriter::exemplar(const Exemplar& exemplar) {
  out_.append(" # {trace_id=\"").append(exemplar.trace_id).append("\"} ");
  append_number(out_, exemplar.value);
  out_ += ' ';
  std::array<char, 64> time{};
  const auto end =
      std::to_chars(time.data(), time.data() + time.size(), exemplar.time, std::chars_format::fixed, 3).ptr;
  out_.append(time.data(), end);
}

std::string ExpositionWriter::finish() && {
  if (format_ == Format::openmetrics) out_ += "# EOF\n";
  return std::move(out_);
}

}  // namespace troupe::metrics
