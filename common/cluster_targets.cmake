# The three helpers every folder uses. A folder's CMakeLists.txt calls them and nothing else.
#
#   cluster_library(kv SOURCES block_pool.cpp ... DEPS base [PCH <caf|beast>])   -> target troupe_kv, linked as troupe::kv
#   cluster_service(gateway SOURCES ... DEPS ...)                               -> the same, for services/<name>
#   cluster_test(kv_test SOURCES a_test.cpp ... DEPS kv [LABELS unit] [ARGS ...] [TIMEOUT 120] [SHARDS 3])

function(cluster_library name)
  cmake_parse_arguments(A "" "PCH" "SOURCES;DEPS;SYSTEM" ${ARGN})
  add_library(troupe_${name} STATIC ${A_SOURCES})
  add_library(troupe::${name} ALIAS troupe_${name})
  target_include_directories(troupe_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  foreach(dep ${A_DEPS})
    target_link_libraries(troupe_${name} PUBLIC troupe::${dep})
  endforeach()
  target_link_libraries(troupe_${name} PUBLIC ${A_SYSTEM} Threads::Threads)
  if(A_PCH)
    target_precompile_headers(troupe_${name} PRIVATE ${CMAKE_SOURCE_DIR}/common/pch_${A_PCH}.hpp)
    target_compile_options(troupe_${name} PRIVATE -fpch-preprocess)
  endif()
endfunction()

function(cluster_service name)
  cluster_library(service_${name} ${ARGN})
endfunction()

# sanitized_test(target): built by the target `sanitized_tests`.
function(sanitized_test name)
  if(NOT TARGET sanitized_tests)
    add_custom_target(sanitized_tests)
  endif()
  add_dependencies(sanitized_tests ${name})
endfunction()

function(cluster_test name)
  cmake_parse_arguments(A "" "TIMEOUT;SHARDS" "SOURCES;DEPS;SYSTEM;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  foreach(dep ${A_DEPS})
    target_link_libraries(${name} PRIVATE troupe::${dep})
  endforeach()
  target_link_libraries(${name} PRIVATE ${A_SYSTEM} GTest::gtest GTest::gmock GTest::gtest_main Threads::Threads)
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  # Unit, cluster and fuzz suites also run under sanitizers (tests/run); what starts the release binary or times things does not.
  if("unit" IN_LIST A_LABELS OR "cluster" IN_LIST A_LABELS)
    list(APPEND A_LABELS sanitize)
    sanitized_test(${name})
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(TROUPE_SANITIZE STREQUAL "thread")
    math(EXPR A_TIMEOUT "${A_TIMEOUT} * 6")  # every memory access is watched
  endif()
  if(NOT A_SHARDS)
    add_test(NAME ${name} COMMAND ${name} ${A_ARGS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
    return()
  endif()
  # A long suite in parts that run beside each other: every case is in one of them.
  math(EXPR last "${A_SHARDS} - 1")
  foreach(shard RANGE ${last})
    add_test(NAME ${name}_${shard} COMMAND ${name} ${A_ARGS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name}_${shard} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT}
                         ENVIRONMENT "GTEST_TOTAL_SHARDS=${A_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()
