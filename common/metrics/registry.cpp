#include "common/metrics/registry.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <variant>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "common/base/error.hpp"
#include "common/metrics/exposition.hpp"

namespace troupe::metrics {

/// A histogram and the last exemplar of each of its buckets.
class HistogramSeries {
 public:
  HistogramSeries(prometheus::Histogram& histogram, std::vector<double> bounds)
      : histogram_(histogram), bounds_(std::move(bounds)), exemplars_(bounds_.size() + 1) {}

  void observe(double value, std::string_view trace_id) {
    histogram_.Observe(value);
    if (trace_id.empty()) return;
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const std::lock_guard guard(mutex_);
    exemplars_[static_cast<std::size_t>(bucket)] = Exemplar{std::string(trace_id), value, now};
  }
  void add_counts(std::span<const double> more, double sum) {
    TROUPE_CHECK(more.size() == exemplars_.size(), "a count for each bucket");
    histogram_.ObserveMultiple({more.begin(), more.end()}, sum);
  }
  [[nodiscard]] prometheus::ClientMetric collect() const { return histogram_.Collect(); }
  [[nodiscard]] Exemplars exemplars() const {
    const std::lock_guard guard(mutex_);
    return exemplars_;
  }

 private:
  prometheus::Histogram& histogram_;
  const std::vector<double> bounds_;
  mutable std::mutex mutex_;
  Exemplars exemplars_;
};

namespace {

constexpr std::string_view kForeign = "vllm:";

constexpr std::size_t kMostSeries = 1000;  // of one row

bool is_word(std::string_view text) {
  return !text.empty() && std::islower(static_cast<unsigned char>(text.front())) != 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
         });
}

bool same_row(const Declaration& a, const Declaration& b) {
  return a.name == b.name && a.help == b.help && a.kind == b.kind && a.buckets == b.buckets &&
         std::equal(a.labels.begin(), a.labels.end(), b.labels.begin(), b.labels.end(),
                    [](const Label& x, const Label& y) { return x.key == y.key && x.values == y.values; });
}

/// A row kept by the registry: its texts are copied, since a caller's row may be a temporary one.
struct OwnedRow {
  explicit OwnedRow(const Declaration& row) : name(row.name), help(row.help), view(row) {
    view.name = name;
    view.help = help;
    for (Label& label : view.labels) {
      label.key = texts.emplace_back(std::make_unique<std::string>(label.key))->c_str();
      for (std::string_view& value : label.values)
        value = texts.emplace_back(std::make_unique<std::string>(value))->c_str();
    }
  }
  std::string name, help;
  std::vector<std::unique_ptr<std::string>> texts;
  Declaration view;
};

using AnyFamily =
    std::variant<prometheus::Family<prometheus::Counter>*, prometheus::Family<prometheus::Gauge>*,
                 prometheus::Family<prometheus::Histogram>*>;

/// Names a series among all.
template <class Labels>
std::string series_key(const std::string& name, const Labels& labels) {
  std::string key = name;
  for (const auto& [label, value] : labels) key.append("\n").append(label).append("=").append(value);
  return key;
}

std::string series_key(const std::string& name, const prometheus::ClientMetric& metric) {
  std::map<std::string, std::string> labels;
  for (const auto& label : metric.label) labels.emplace(label.name, label.value);
  return series_key(name, labels);
}

bool labels_before(const prometheus::ClientMetric& a, const prometheus::ClientMetric& b) {
  return std::lexicographical_compare(
      a.label.begin(), a.label.end(), b.label.begin(), b.label.end(),
      [](const auto& x, const auto& y) { return std::tie(x.name, x.value) < std::tie(y.name, y.value); });
}

}  // namespace

struct Registry::Impl {
  struct Entry {
    std::unique_ptr<OwnedRow> row;
    AnyFamily family;
  };

  Entry& entry(const Declaration& row) {
    if (const auto found = entries.find(row.name); found != entries.end()) {
      TROUPE_CHECK(same_row(found->second.row->view, row),
                   std::string(row.name) + " is declared twice, differently");
      return found->second;
    }
    const std::string wrong = why_invalid(row);
    TROUPE_CHECK(wrong.empty(), wrong);
    auto owned = std::make_unique<OwnedRow>(row);
    AnyFamily family = make_family(owned->view);
    const std::string_view key = owned->view.name;
    return entries.emplace(key, Entry{std::move(owned), family}).first->second;
  }

  AnyFamily make_family(const Declaration& row) {
    const std::string name(row.name);
    const std::string help(row.help);
    switch (row.kind) {
      case Kind::counter:
        return &prometheus::BuildCounter().Name(name).Help(help).Register(registry);
      case Kind::gauge:
        return &prometheus::BuildGauge().Name(name).Help(help).Register(registry);
      case Kind::histogram:
        break;
    }
    return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  static prometheus::Labels label_map(const Declaration& row,
                                      std::initializer_list<std::string_view> values) {
    TROUPE_CHECK(values.size() == row.labels.size(),
                 std::string(row.name) + " wants a value for each of its labels");
    prometheus::Labels map;
    auto value = values.begin();
    for (const Label& label : row.labels) {
      const bool known = std::find(label.values.begin(), label.values.end(), *value) != label.values.end();
      TROUPE_CHECK(known, std::string(row.name) + ": \"" + std::string(*value) +
                              "\" is outside the closed set of " + std::string(label.key));
      map.emplace(label.key, *value++);
    }
    return map;
  }

  /// Family::Add gives the existing series for equal labels.
  template <class Series, class... Extra>
  Series& series(const Declaration& row, std::initializer_list<std::string_view> values,
                 const Extra&... extra) {
    const std::lock_guard guard(mutex);
    auto* const* family = std::get_if<prometheus::Family<Series>*>(&entry(row).family);
    TROUPE_CHECK(family != nullptr, std::string(row.name) + " is of another kind");
    return (*family)->Add(label_map(row, values), extra...);
  }

  HistogramSeries& histogram(const Declaration& row, std::initializer_list<std::string_view> values) {
    prometheus::Histogram& made = series<prometheus::Histogram>(row, values, row.buckets);
    const std::lock_guard guard(mutex);
    auto& kept = histograms[series_key(std::string(row.name), label_map(row, values))];
    if (!kept) kept = std::make_unique<HistogramSeries>(made, row.buckets);
    return *kept;
  }

  /// Adds what the family shows now.
  void write(const prometheus::MetricFamily& family, ExpositionWriter& writer) const {
    bool begun = false;
    for (const prometheus::ClientMetric& metric : family.metric) {
      const bool cleared = family.type == prometheus::MetricType::Gauge && std::isnan(metric.gauge.value);
      if (cleared) continue;
      if (!std::exchange(begun, true)) writer.begin_family(family.name, family.help, family.type);
      std::optional<Exemplars> exemplars;
      if (family.type == prometheus::MetricType::Histogram) {
        const std::lock_guard guard(mutex);
        if (const auto found = histograms.find(series_key(family.name, metric)); found != histograms.end())
          exemplars = found->second->exemplars();
      }
      writer.add(family.name, family.type, metric, exemplars ? &*exemplars : nullptr);
    }
  }

  prometheus::Registry registry;
  mutable std::mutex mutex;
  std::map<std::string, std::unique_ptr<HistogramSeries>> histograms;  // by series_key
  std::map<std::string_view, Entry> entries;
  std::vector<std::function<void()>> updates;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter Registry::counter(const Declaration& row, std::initializer_list<std::string_view> label_values) {
  return Counter(impl_->series<prometheus::Counter>(row, label_values));
}

Gauge Registry::gauge(const Declaration& row, std::initializer_list<std::string_view> label_values) {
  return Gauge(impl_->series<prometheus::Gauge>(row, label_values));
}

Histogram Registry::histogram(const Declaration& row, std::initializer_list<std::string_view> label_values) {
  return Histogram(impl_->histogram(row, label_values));
}

void Registry::before_collect(std::function<void()> update) {
  const std::lock_guard guard(impl_->mutex);
  impl_->updates.push_back(std::move(update));
}

std::string Registry::serialize(Format format) const {
  std::vector<std::function<void()>> updates;
  {
    const std::lock_guard guard(impl_->mutex);
    updates = impl_->updates;
  }
  for (const auto& update : updates) update();
  auto families = impl_->registry.Collect();
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  ExpositionWriter writer(format);
  for (auto& family : families) {
    std::sort(family.metric.begin(), family.metric.end(), labels_before);
    impl_->write(family, writer);
  }
  return std::move(writer).finish();
}

std::string why_invalid(const Declaration& row) {
  const std::string name(row.name);
  const bool foreign = name.starts_with(kForeign);
  if (foreign
          ? !is_word(row.name.substr(kForeign.size()))
          : !is_word(name) || !name.starts_with("troupe_") || std::count(name.begin(), name.end(), '_') < 2)
    return name + ": a metric is named troupe_<service>_<noun>_<unit>, or as vLLM names it";
  const bool foreign_histogram =
      foreign && row.kind == Kind::histogram;  // it has vllm:iteration_tokens_total
  if ((row.kind == Kind::counter) != name.ends_with("_total") && !foreign_histogram)
    return name + ": counters, and only they, end in _total";
  if (row.help.empty()) return name + ": it has no help";
  if ((row.kind == Kind::histogram) == row.buckets.empty())
    return name + ": histograms, and only they, have buckets";
  if (!std::is_sorted(row.buckets.begin(), row.buckets.end(), std::less_equal<>()))
    return name + ": its buckets do not ascend";
  std::size_t count = 1;
  for (const Label& label : row.labels) {
    if (!is_word(label.key) || label.key == "le")
      return name + ": \"" + std::string(label.key) + "\" is no label name";
    if (label.values.empty()) return name + ": label " + std::string(label.key) + " has no values";
    if (count > kMostSeries / label.values.size())
      return name + ": more than " + std::to_string(kMostSeries) + " series";
    count *= label.values.size();
  }
  return {};
}

void Counter::add(double amount) const {
  if (series_ != nullptr && amount >= 0) series_->Increment(amount);
}
double Counter::value() const {
  return series_ == nullptr ? 0 : series_->Value();
}

void Gauge::set(double value) const {
  if (series_ != nullptr) series_->Set(value);
}
void Gauge::add(double amount) const {
  if (series_ != nullptr) series_->Increment(amount);
}
void Gauge::clear() const {
  if (series_ != nullptr) series_->Set(std::numeric_limits<double>::quiet_NaN());
}
double Gauge::value() const {
  return series_ == nullptr ? 0 : series_->Value();
}

void Histogram::observe(double value, std::string_view trace_id) const {
  if (series_ != nullptr) series_->observe(value, trace_id);
}
void Histogram::add_counts(std::span<const double> more, double sum) const {
  if (series_ != nullptr) series_->add_counts(more, sum);
}
std::uint64_t Histogram::count() const {
  return series_ == nullptr ? 0 : series_->collect().histogram.sample_count;
}
double Histogram::sum() const {
  return series_ == nullptr ? 0 : series_->collect().histogram.sample_sum;
}

}  // namespace troupe::metrics
