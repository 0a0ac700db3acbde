#pragma once

#include <exception>
#include <iostream>

namespace phase0::bench {

/// The exit code of a program; what it throws is written to stderr and gives 1.
inline int run_program(int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}

}  // namespace phase0::bench
