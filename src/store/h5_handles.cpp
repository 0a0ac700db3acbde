#include "store/h5_handles.h"

#include "store/h5_heap.h"
#include "store/h5_zstd.h"

namespace phase0::store {
namespace {

herr_t keep_first(unsigned, const H5E_error2_t* error, void* out) {
  auto& message = *static_cast<std::string*>(out);
  if (message.empty() && error->desc != nullptr) message = error->desc;
  return 0;
}

herr_t look_for_memory(unsigned, const H5E_error2_t* error, void* out) {
  if (error->min_num == H5E_NOSPACE || error->min_num == H5E_CANTALLOC) *static_cast<bool*>(out) = true;
  return 0;
}

bool prepare_library() {
  H5PLset_loading_state(0);  // a filter named by a file must not load code
  return register_zstd_filter() && register_reference_conversion();
}

}  // namespace

H5Session::H5Session() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  static const bool prepared = prepare_library();
  static_cast<void>(prepared);
}

H5Session::~H5Session() {
  H5Eset_auto2(H5E_DEFAULT, function_, data_);
}

std::string h5_message() {
  std::string message;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
  return message;
}

std::string h5_reason() {
  const std::string message = h5_message();
  return message.empty() ? "" : " (" + message + ")";
}

bool h5_out_of_memory() {
  bool found = false;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_for_memory, &found);
  return found;
}

H5Properties h5_transfer() {
  constexpr std::size_t kConversionBytes = std::size_t{64} << 10;
  H5Properties properties(H5Pcreate(H5P_DATASET_XFER));
  H5Pset_buffer(properties.get(), kConversionBytes, nullptr, nullptr);
  return properties;
}

}  // namespace phase0::store
