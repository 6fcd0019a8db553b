# CMake toolchain: zig as the compiler for a phone. Everything it needs comes from the environment, because CMake reads
# this file again in every configure check and forgets the command line there.
#   BENCH_ZIG, BENCH_ZIG_TARGET     see zig-compiler
#   BENCH_SYSTEM, BENCH_PROCESSOR   what CMake should call the target
set(CMAKE_SYSTEM_NAME "$ENV{BENCH_SYSTEM}")
set(CMAKE_SYSTEM_PROCESSOR "$ENV{BENCH_PROCESSOR}")

# Through /bin/sh, because an installed package does not keep the executable bit of its data files.
set(CMAKE_C_COMPILER /bin/sh "${CMAKE_CURRENT_LIST_DIR}/zig-compiler" cc)
set(CMAKE_CXX_COMPILER /bin/sh "${CMAKE_CURRENT_LIST_DIR}/zig-compiler" c++)

# zig adds debugging information unless told not to: six times the size of every object file.
set(CMAKE_C_FLAGS_INIT -g0)
set(CMAKE_CXX_FLAGS_INIT -g0)

# `zig ar` is two words, and CMake wants a program: so the word goes into the rules.
set(CMAKE_AR "$ENV{BENCH_ZIG}")
set(CMAKE_RANLIB "$ENV{BENCH_ZIG}")
foreach(language C CXX)
    set(CMAKE_${language}_COMPILER_AR "$ENV{BENCH_ZIG}")
    set(CMAKE_${language}_COMPILER_RANLIB "$ENV{BENCH_ZIG}")
    set(CMAKE_${language}_ARCHIVE_CREATE "<CMAKE_AR> ar qc <TARGET> <OBJECTS>")
    set(CMAKE_${language}_ARCHIVE_APPEND "<CMAKE_AR> ar q <TARGET> <OBJECTS>")
    set(CMAKE_${language}_ARCHIVE_FINISH "<CMAKE_RANLIB> ranlib <TARGET>")
endforeach()

# Configure checks only compile; a link would make zig build its C++ library for a set of flags that is not used again.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
