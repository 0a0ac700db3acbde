#include "store/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace phase0::store {

FileDescriptor open_scratch_file(const std::string& folder) {
  FileDescriptor file(
      uninterrupted([&] { return ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
  if (file) return file;
  const bool unsupported = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
  if (!unsupported) throw_errno("create a scratch file in", folder);
  std::string name = folder + "/scratch-XXXXXX";
  file = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) throw_errno("create a scratch file in", folder);
  ::unlink(name.c_str());
  return file;
}

}  // namespace phase0::store
