# cmake -DFOLDER=... -DOUTPUT=... -P embed.cmake: writes a C++ source that holds every file of a folder.
file(GLOB files RELATIVE "${FOLDER}" "${FOLDER}/*")
list(SORT files)
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS files)
  file(READ "${FOLDER}/${name}" hex HEX)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND arrays "constexpr char kFile${number}[] = {${bytes}'\\0'};\n")
  string(APPEND rows "    {\"${name}\", {kFile${number}, sizeof kFile${number} - 1}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUTPUT}" "#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace troupe::gateway {
namespace {
${arrays}
constexpr std::array<std::pair<std::string_view, std::string_view>, ${number}> kRows{{
${rows}}};
}  // namespace

extern const std::span<const std::pair<std::string_view, std::string_view>> kWebSources;
const std::span<const std::pair<std::string_view, std::string_view>> kWebSources = kRows;

}  // namespace troupe::gateway
")
