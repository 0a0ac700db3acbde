#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

/// RAII over the HDF5 C API. Only files of the store include this.
namespace phase0::store {

/// Owns an HDF5 identifier. Move-only.
template <herr_t (*Close)(hid_t)>
class H5Handle {
 public:
  H5Handle() = default;
  explicit H5Handle(hid_t id) : id_(id) {}
  ~H5Handle() { reset(); }
  H5Handle(H5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  H5Handle& operator=(H5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  H5Handle(const H5Handle&) = delete;
  H5Handle& operator=(const H5Handle&) = delete;

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Closes now; false when HDF5 could not.
  bool reset() {
    if (id_ < 0) return true;
    return Close(std::exchange(id_, -1)) >= 0;
  }

 private:
  hid_t id_ = -1;
};

using H5File = H5Handle<H5Fclose>;
using H5Object = H5Handle<H5Oclose>;
using H5Dataset = H5Handle<H5Dclose>;
using H5Group = H5Handle<H5Gclose>;
using H5Type = H5Handle<H5Tclose>;
using H5Space = H5Handle<H5Sclose>;
using H5Attribute = H5Handle<H5Aclose>;
using H5Properties = H5Handle<H5Pclose>;

/// Keeps HDF5 from printing its error stack while it lives, on this thread; the program's own setting comes
/// back after. The first one also prepares the library: no plugins, the zstd filter registered.
class H5Session {
 public:
  H5Session();
  ~H5Session();
  H5Session(const H5Session&) = delete;
  H5Session& operator=(const H5Session&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// What HDF5 says of its last failure on this thread, innermost cause first, in a few words; empty if
/// nothing.
std::string h5_message();
/// ` (MESSAGE)`, or nothing.
std::string h5_reason();
/// True when the last failure on this thread was for want of memory.
bool h5_out_of_memory();

/// How values are moved between memory and file: with 64 KiB to convert in, not HDF5's own 1 MiB.
H5Properties h5_transfer();

}  // namespace phase0::store
