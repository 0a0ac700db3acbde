#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <vector>

#include "harness.h"

/// Gives a harness every file of the folders that are its arguments, without a fuzzer. A finding ends the
/// process; the last name printed is its input. Folders that are not there have nothing to replay.
int main(int n_arguments, char** arguments) {
  std::size_t n = 0;
  for (int i = 1; i < n_arguments; ++i) {
    if (!std::filesystem::is_directory(arguments[i])) continue;
    for (const auto& file : std::filesystem::directory_iterator(arguments[i])) {
      std::cout << file.path().string() << std::endl;
      std::ostringstream bytes;
      bytes << std::ifstream(file.path(), std::ios::binary).rdbuf();
      const std::string text = bytes.str();
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
      ++n;
    }
  }
  std::cout << n << " inputs\n";
  return n > 0 ? 0 : 1;
}
