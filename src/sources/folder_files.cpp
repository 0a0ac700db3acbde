#include "sources/folder_files.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "store/posix_file.h"

namespace phase0::sources {

void for_stems_in_folder(const std::string& folder, std::string_view suffix,
                         const std::function<void(std::string_view stem)>& take) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (!entries) store::throw_errno("open", folder);
  errno = 0;
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name.ends_with(suffix) && !name.starts_with('.')) take(name.substr(0, name.size() - suffix.size()));
    errno = 0;
  }
  if (errno != 0) store::throw_errno("list", folder);
}

std::vector<std::string> stems_in_folder(const std::string& folder, std::string_view suffix) {
  std::vector<std::string> stems;
  for_stems_in_folder(folder, suffix, [&](std::string_view stem) { stems.emplace_back(stem); });
  std::sort(stems.begin(), stems.end());
  return stems;
}

}  // namespace phase0::sources
