#include "store/h5_zstd.h"

#include <hdf5.h>
#include <zstd.h>

#include <memory>

#include "store/h5_chunks.h"

namespace phase0::store {
namespace {

struct FreeMemory {
  void operator()(void* memory) const { H5free_memory(memory); }
};
using Buffer = std::unique_ptr<void, FreeMemory>;  // HDF5 frees filter buffers with its own allocator

Buffer compress(const void* in, std::size_t n, int level, std::size_t* n_out) {
  const std::size_t bound = ZSTD_compressBound(n);
  Buffer out(H5allocate_memory(bound, false));
  if (out == nullptr) return nullptr;
  *n_out = ZSTD_compress(out.get(), bound, in, n, level);
  return ZSTD_isError(*n_out) ? nullptr : std::move(out);
}

/// The filter does not learn the chunk's size, so the stated content size is only held below the largest
/// chunk that the store reads; decode_chunk() has compared it with the dataset's own size before HDF5 gets
/// here.
Buffer decompress(const void* in, std::size_t n, std::size_t* n_out) {
  const unsigned long long size = ZSTD_getFrameContentSize(in, n);
  const bool known = size != ZSTD_CONTENTSIZE_ERROR && size != ZSTD_CONTENTSIZE_UNKNOWN;
  if (!known || size == 0 || size > static_cast<unsigned long long>(kMaxChunkBytes)) return nullptr;
  Buffer out(H5allocate_memory(size, false));
  if (out == nullptr) return nullptr;
  *n_out = ZSTD_decompress(out.get(), size, in, n);
  return ZSTD_isError(*n_out) || *n_out != size ? nullptr : std::move(out);
}

std::size_t filter(unsigned flags, std::size_t n_options, const unsigned options[], std::size_t n,
                   std::size_t* capacity, void** buffer) {
  std::size_t n_out = 0;
  const int level = n_options > 0 ? static_cast<int>(options[0]) : ZSTD_CLEVEL_DEFAULT;
  Buffer out =
      (flags & H5Z_FLAG_REVERSE) != 0 ? decompress(*buffer, n, &n_out) : compress(*buffer, n, level, &n_out);
  if (out == nullptr) return 0;
  H5free_memory(*buffer);
  *buffer = out.release();
  *capacity = n_out;
  return n_out;
}

}  // namespace

bool register_zstd_filter() {
  const H5Z_class2_t kind = {H5Z_CLASS_T_VERS, kZstdFilter, 1, 1, "zstd", nullptr, nullptr, filter};
  return H5Zregister(&kind) >= 0;
}

}  // namespace phase0::store
