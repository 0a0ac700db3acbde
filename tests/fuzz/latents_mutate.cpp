#include "h5_checksums.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// As libFuzzer's own, but that most inputs keep right checksums.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  const std::size_t n = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) phase0::fuzz::H5Checksums({data, n}).mend();
  return n;
}
