# The three kinds of target that the folders declare.

# Standard and third-party headers that nearly every source includes, compiled once.
if(NOT EXISTS ${CMAKE_BINARY_DIR}/pch/pch.cpp)  # untouched, or each configuration would compile it again
  file(WRITE ${CMAKE_BINARY_DIR}/pch/pch.cpp "")
endif()
add_library(tributary_pch OBJECT ${CMAKE_BINARY_DIR}/pch/pch.cpp)
target_link_libraries(tributary_pch PUBLIC fmt::fmt tl::expected Threads::Threads)
target_include_directories(tributary_pch PUBLIC ${CMAKE_SOURCE_DIR})
target_precompile_headers(tributary_pch PRIVATE
  <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <filesystem>
  <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <thread>
  <unordered_map> <utility> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)

function(_tributary_common target)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC fmt::fmt tl::expected Threads::Threads)
  target_precompile_headers(${target} REUSE_FROM tributary_pch)
endfunction()

# tributary_library(NAME SOURCES a.cpp ... [DEPS targets...] [PRIVATE_DEPS targets...])
# The target is called tributary_NAME. A folder without sources yet is an INTERFACE library.
function(tributary_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(A_SOURCES)
    add_library(tributary_${name} STATIC ${A_SOURCES})
    _tributary_common(tributary_${name})
    target_link_libraries(tributary_${name} PUBLIC ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS})
  else()
    add_library(tributary_${name} INTERFACE)
    target_include_directories(tributary_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(tributary_${name} INTERFACE fmt::fmt tl::expected Threads::Threads ${A_DEPS})
  endif()
endfunction()

# tributary_program(NAME SOURCES main.cpp ... [DEPS targets...])
function(tributary_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  _tributary_common(${name})
  target_compile_definitions(${name} PRIVATE TRIBUTARY_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${name} PRIVATE ${A_DEPS})
endfunction()

# tributary_test(NAME LABEL unit|sim|e2e|compat SOURCES ... [DEPS ...] [PROGRAMS targets...]
#                [TIMEOUT seconds] [SERIAL] [PEERS_DIE]): one GoogleTest executable, one ctest entry.
# PEERS_DIE: LeakSanitizer overlooks what nng loses then.
function(tributary_test name)
  cmake_parse_arguments(A "SERIAL;PEERS_DIE" "LABEL;TIMEOUT" "SOURCES;DEPS;PROGRAMS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  _tributary_common(${name})
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # A test is compiled more often than it runs long.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 sees overflows in strings and vectors of tests that cannot happen, others at each level.
    target_compile_options(${name} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
      -Wno-maybe-uninitialized -Wno-restrict)
  endif()
  if(A_PROGRAMS)
    add_dependencies(${name} ${A_PROGRAMS})
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  if(TRIBUTARY_SANITIZE)
    math(EXPR A_TIMEOUT "5 * ${A_TIMEOUT}")
  endif()
  add_test(NAME ${name} COMMAND ${name})
  # What may take longest begins first, also in a fresh build folder, so that nothing long is left alone at the end.
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT} COST ${A_TIMEOUT}
    ENVIRONMENT "TRIBUTARY_BIN=${CMAKE_BINARY_DIR}/bin;TRIBUTARY_SOURCE=${CMAKE_SOURCE_DIR}")
  if(A_PEERS_DIE OR A_LABEL STREQUAL "e2e")
    set_property(TEST ${name} APPEND PROPERTY
      ENVIRONMENT "LSAN_OPTIONS=print_suppressions=0:suppressions=${CMAKE_SOURCE_DIR}/tests/support/nng_leaks.supp")
  endif()
  if(A_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# Adds each folder that has a CMakeLists.txt, in the given (dependency) order.
function(tributary_folders)
  foreach(folder IN LISTS ARGN)
    if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt)
      add_subdirectory(${CMAKE_SOURCE_DIR}/${folder})
    endif()
  endforeach()
endfunction()
