#include "common/tokenizer/unicode_classes.hpp"

#include <unicode/uchar.h>

#include <vector>

namespace troupe {
namespace {

std::uint16_t classes_of_category(UCharCategory category) {
  const std::uint32_t mask = U_MASK(category);
  std::uint16_t bits = 0;
  if (mask & U_GC_L_MASK) bits |= CharClass::letter;
  if (mask & U_GC_N_MASK) bits |= CharClass::number;
  if (mask & U_GC_P_MASK) bits |= CharClass::punctuation;
  if (mask & U_GC_S_MASK) bits |= CharClass::symbol;
  if (mask & U_GC_M_MASK) bits |= CharClass::mark;
  if (mask & (U_GC_LU_MASK | U_GC_LT_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK))
    bits |= CharClass::upper_like;
  if (mask & (U_GC_LL_MASK | U_GC_LM_MASK | U_GC_LO_MASK | U_GC_M_MASK)) bits |= CharClass::lower_like;
  if (mask & (U_GC_C_MASK & ~U_GC_CN_MASK)) bits |= CharClass::other;
  return bits;
}

UBool fill_range(const void* context, UChar32 start, UChar32 limit, UCharCategory category) {
  auto& table = *static_cast<std::vector<std::uint16_t>*>(const_cast<void*>(context));
  const std::uint16_t bits = classes_of_category(category);
  // White_Space lies in separators and controls only, so the large ranges need no second look.
  const bool may_be_space = (U_MASK(category) & (U_GC_Z_MASK | U_GC_CC_MASK)) != 0;
  for (UChar32 code = start; code < limit; ++code) {
    const bool space = may_be_space && u_isUWhiteSpace(code);
    table[static_cast<std::size_t>(code)] =
        static_cast<std::uint16_t>(bits | (space ? CharClass::space : std::uint16_t{0}));
  }
  return true;
}

std::vector<std::uint16_t> build_table() {
  std::vector<std::uint16_t> table(0x110000);
  u_enumCharTypes(fill_range, &table);
  table['\r'] |= CharClass::newline;
  table['\n'] |= CharClass::newline;
  return table;
}

}  // namespace

const std::uint16_t* char_classes() {
  static const std::vector<std::uint16_t> table = build_table();
  return table.data();
}

}  // namespace troupe
