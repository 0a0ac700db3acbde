#pragma once

namespace phase0::linalg {

/// The work buffer that OpenBLAS packs panels into, for one product on the calling thread at a time; at most
/// one lives per thread. Left to itself the library's own allocator loops for ever when the kernel refuses
/// memory (RLIMIT_AS, RLIMIT_DATA), and its serial flavour gives one buffer to two threads, whose products
/// are then wrong. So its allocator is wrapped when the program is linked, and serves what is held here.
///
/// Buffers are made as products overlap, kept until the process ends, and shared by all threads. They take
/// 128 MiB of address space each, and the memory that panels touch (kBlasThreadBytes). Where no further
/// one is to be had a product waits for one to come free.
class BlasBuffer {
 public:
  /// Throws Error (kMemory) when there is no buffer at all and none is to be had.
  BlasBuffer();
  ~BlasBuffer();
  BlasBuffer(const BlasBuffer&) = delete;
  BlasBuffer& operator=(const BlasBuffer&) = delete;
};

}  // namespace phase0::linalg
