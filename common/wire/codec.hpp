#pragma once
// One schema per message: a struct with `static void fields(visitor, self)` drives encoding, decoding and printing.
// Little-endian fixed-width numbers; ids and hashes packed; strings and lists with a 32-bit count that is checked against
// the field's bound and the bytes that are left before anything is allocated.
//
//   payload = u16 version | u16 oldest reader | fields in order
//
// The oldest reader is the struct's, or the message's own where it says something that must not be overlooked (oldest_reader()).
// Fields are appended, never reordered: a field of version n is visited with since(n, ...). A reader takes any message whose
// `oldest reader` it has reached and ignores what newer writers appended; it refuses everything else (wire_version).
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/base/error.hpp"
#include "common/base/ids.hpp"

namespace troupe::wire {

/// Most elements a list or characters a string may have; the default fits names and addresses.
struct Bound {
  std::uint32_t max = 4096;
};

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsPair : std::false_type {};
template <class A, class B>
struct IsPair<std::pair<A, B>> : std::true_type {};
template <class T>
struct IsId128 : std::false_type {};
template <class Tag>
struct IsId128<Id128<Tag>> : std::true_type {};
template <class T>
struct IsStrongId : std::false_type {};
template <class Tag, class Rep>
struct IsStrongId<StrongId<Tag, Rep>> : std::true_type {};

static_assert(std::endian::native == std::endian::little, "the wire is little-endian and so is every supported machine");

class Encoder {
 public:
  template <class T>
  void operator()(const char* name, const T& value, Bound bound = {}) {
    (void)name;
    put(value, bound);
  }
  template <class T>
  void since(std::uint16_t, const char* name, const T& value, Bound bound = {}) {
    (*this)(name, value, bound);
  }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(out_); }

  template <class T>
  void put(const T& value, Bound bound) {
    if constexpr (std::is_enum_v<T>) {
      put(static_cast<std::underlying_type_t<T>>(value), bound);
    } else if constexpr (std::is_same_v<T, bool>) {
      const std::uint8_t byte = value ? 1 : 0;
      raw(&byte, 1);
    } else if constexpr (std::is_arithmetic_v<T>) {
      raw(&value, sizeof value);
    } else if constexpr (IsId128<T>::value) {
      raw(&value.high, 8);
      raw(&value.low, 8);
    } else if constexpr (IsStrongId<T>::value) {
      put(value.value, bound);
    } else if constexpr (std::is_same_v<T, std::string>) {
      count(value.size(), bound);
      raw(value.data(), value.size());
    } else if constexpr (IsOptional<T>::value) {
      put(value.has_value(), bound);
      if (value) put(*value, bound);
    } else if constexpr (IsPair<T>::value) {
      put(value.first, bound);
      put(value.second, bound);
    } else if constexpr (IsVector<T>::value) {
      count(value.size(), bound);
      using Element = typename T::value_type;
      if constexpr (std::is_arithmetic_v<Element> && !std::is_same_v<Element, bool>) {
        raw(value.data(), value.size() * sizeof(Element));
      } else {
        for (const auto& element : value) put(element, Bound{});
      }
    } else {
      T::fields(*this, value);
    }
  }

 private:
  void count(std::size_t size, Bound bound) {
    TROUPE_CHECK(size <= bound.max, "a message field is over its bound");
    put(static_cast<std::uint32_t>(size), bound);
  }
  // Not inlined: g++ 12 sees overflows that are not there once it knows the sizes of several appends.
  [[gnu::noinline]] void raw(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }
  std::vector<std::uint8_t> out_;
};

class Decoder {
 public:
  Decoder(std::span<const std::uint8_t> bytes, std::uint16_t version) : bytes_(bytes), version_(version) {}

  template <class T>
  void operator()(const char* name, T& value, Bound bound = {}) {
    if (failed()) return;
    field_ = name;
    get(value, bound);
  }
  template <class T>
  void since(std::uint16_t version, const char* name, T& value, Bound bound = {}) {
    if (version_ >= version) (*this)(name, value, bound);
  }
  [[nodiscard]] bool failed() const { return !error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

  template <class T>
  void get(T& value, Bound bound) {
    if (failed()) return;
    if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      get(number, bound);
      if (number > static_cast<std::underlying_type_t<T>>(last_value(T{}))) return refuse("is no known value");
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = 0;
      raw(&byte, 1);
      if (byte > 1) return refuse("is not a truth value");
      value = byte == 1;
    } else if constexpr (std::is_arithmetic_v<T>) {
      raw(&value, sizeof value);
    } else if constexpr (IsId128<T>::value) {
      raw(&value.high, 8);
      raw(&value.low, 8);
    } else if constexpr (IsStrongId<T>::value) {
      get(value.value, bound);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::uint32_t size = count(bound, 1);
      if (failed()) return;
      value.assign(reinterpret_cast<const char*>(bytes_.data()), size);
      bytes_ = bytes_.subspan(size);
    } else if constexpr (IsOptional<T>::value) {
      bool present = false;
      get(present, bound);
      if (present) get(value.emplace(), bound);
      else value.reset();
    } else if constexpr (IsPair<T>::value) {
      get(value.first, bound);
      get(value.second, bound);
    } else if constexpr (IsVector<T>::value) {
      using Element = typename T::value_type;
      if constexpr (std::is_arithmetic_v<Element> && !std::is_same_v<Element, bool>) {
        const std::uint32_t size = count(bound, sizeof(Element));
        if (failed()) return;
        value.resize(size);
        raw(value.data(), size * sizeof(Element));
      } else {
        const std::uint32_t size = count(bound, 1);
        value.clear();
        for (std::uint32_t i = 0; i < size && !failed(); ++i) get(value.emplace_back(), Bound{});
      }
    } else {
      T::fields(*this, value);
    }
  }

 private:
  std::uint32_t count(Bound bound, std::size_t element_bytes) {
    std::uint32_t size = 0;
    get(size, bound);
    if (failed()) return 0;
    if (size > bound.max) {
      refuse("has " + std::to_string(size) + " elements, at most " + std::to_string(bound.max));
      return 0;
    }
    if (size * element_bytes > bytes_.size()) {
      refuse("claims " + std::to_string(size) + " elements, " + std::to_string(bytes_.size()) + " bytes are left");
      return 0;
    }
    return size;
  }
  void raw(void* out, std::size_t size) {
    if (size > bytes_.size()) return refuse("is cut short");
    if (size != 0) std::memcpy(out, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  void refuse(std::string what) { error_ = std::string(field_) + " " + std::move(what); }

  std::span<const std::uint8_t> bytes_;
  std::uint16_t version_;
  const char* field_ = "";
  std::string error_;
};

/// What CAF carries: everything a receiver needs to decide whether it can parse the rest.
struct Envelope {
  std::uint16_t type = 0;   ///< message_ids.def
  Epoch epoch;              ///< of the placement it belongs to; 0 outside one
  std::vector<std::uint8_t> payload;
};

/// Payload bytes of one message (see the file comment).
template <class M>
[[nodiscard]] std::vector<std::uint8_t> encode(const M& message) {
  Encoder encoder;
  encoder.put(M::kVersion, {});
  if constexpr (requires { message.oldest_reader(); }) {
    encoder.put(static_cast<std::uint16_t>(message.oldest_reader()), {});
  } else {
    encoder.put(M::kOldestReader, {});
  }
  M::fields(encoder, message);
  return encoder.take();
}

/// Errors: wire_version, wire_malformed (names message, field, found and expected).
template <class M>
[[nodiscard]] Expected<M> decode(std::span<const std::uint8_t> payload) {
  if (payload.size() < 4) return fail(Errc::wire_malformed, std::string(M::kName) + " is cut short");
  std::uint16_t version = 0, oldest = 0;
  std::memcpy(&version, payload.data(), 2);
  std::memcpy(&oldest, payload.data() + 2, 2);
  if (version == 0 || oldest == 0 || oldest > version)
    return fail(Errc::wire_malformed, std::string(M::kName) + " has an impossible version");
  if (oldest > M::kVersion) {
    return fail(Errc::wire_version, std::string(M::kName) + " needs a reader of version " + std::to_string(oldest) +
                                        ", this one is " + std::to_string(M::kVersion));
  }
  Decoder decoder(payload.subspan(4), version);
  M message;
  M::fields(decoder, message);
  if (decoder.failed()) return fail(Errc::wire_malformed, std::string(M::kName) + "." + decoder.error());
  if (version <= M::kVersion && decoder.left() != 0)
    return fail(Errc::wire_malformed, std::string(M::kName) + " has " + std::to_string(decoder.left()) + " bytes too many");
  return message;
}

template <class M>
[[nodiscard]] Envelope pack(const M& message, Epoch epoch = {}) {
  return Envelope{M::kNumber, epoch, encode(message)};
}
template <class M>
[[nodiscard]] Expected<M> unpack(const Envelope& envelope) {
  if (envelope.type != M::kNumber)
    return fail(Errc::wire_malformed, "message " + std::to_string(envelope.type) + " is not " + std::string(M::kName));
  return decode<M>(envelope.payload);
}

}  // namespace troupe::wire
