// A small addon of its own, without libtorch among its dependencies: it opens the libtorch that was chosen at
// run time. The dynamic linker takes libraries that are already loaded under a wanted name, so that the addon
// finds libtorch wherever it lies. Written against Node-API's C functions alone: a damaged or missing
// libstdc++ is then an error to report instead of a reason not to load.
#include <dlfcn.h>
#include <node_api.h>
#include <torch/version.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__linux__)
#include <link.h>
#endif

namespace {

// Paths and names of libraries; longer ones are refused, not cut.
constexpr size_t kMaxPath = 4096;

bool ReadPath(napi_env env, napi_callback_info info, char (&path)[kMaxPath]) {
  size_t count = 1;
  napi_value argument = nullptr;
  size_t length = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, nullptr, 0, &length) != napi_ok) {
    napi_throw_type_error(env, nullptr, "Expected a path.");
    return false;
  }
  if (length >= kMaxPath) {
    napi_throw_range_error(env, nullptr, "The path is too long.");
    return false;
  }
  return napi_get_value_string_utf8(env, argument, path, kMaxPath, &length) == napi_ok;
}

napi_value StringOrNull(napi_env env, const char* text) {
  napi_value value = nullptr;
  if (text == nullptr) {
    napi_get_null(env, &value);
  } else {
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  }
  return value;
}

// libgomp's threads wait awake between two parallel regions, by default for so long that beside another busy
// process, whose turn they take, every region lasts a turn of the scheduler: a click took a hundred times as
// long. Shorter waits cost nothing on a quiet machine. libgomp reads the variable when it is loaded, and
// children should not have it; whoever sets it, or OMP_WAIT_POLICY, has decided already.
void* OpenLibrary(const char* path) {
  const char* const name = "GOMP_SPINCOUNT";
  const bool is_open = getenv(name) == nullptr && getenv("OMP_WAIT_POLICY") == nullptr;
  if (is_open) setenv(name, "1000", 1);
  void* const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (is_open) unsetenv(name);
  return handle;
}

// open(path): loads a library for the rest of the process; throws what the dynamic linker says.
napi_value Open(napi_env env, napi_callback_info info) {
  char path[kMaxPath];
  if (!ReadPath(env, info, path)) return nullptr;
  if (OpenLibrary(path) == nullptr) napi_throw_error(env, nullptr, dlerror());
  return nullptr;
}

// loadedFile(name): the file of a library that is already in this process under that name, or null.
napi_value LoadedFile(napi_env env, napi_callback_info info) {
  char name[kMaxPath];
  if (!ReadPath(env, info, name)) return nullptr;
  void* handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return StringOrNull(env, nullptr);
  napi_value file = nullptr;
#if defined(__linux__)
  struct link_map* map = nullptr;
  file = StringOrNull(env, dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : name);
#else
  file = StringOrNull(env, name);
#endif
  dlclose(handle);
  return file;
}

// releaseOf(name): the release of the loaded library of that name as it says itself ('2.13.0'), or null where
// it is too old to say.
napi_value ReleaseOf(napi_env env, napi_callback_info info) {
  char name[kMaxPath];
  if (!ReadPath(env, info, name)) return nullptr;
  void* handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) {
    napi_throw_error(env, nullptr, "The library is not loaded.");
    return nullptr;
  }
  using AbiVersion = uint64_t (*)();
  const auto abi_version = reinterpret_cast<AbiVersion>(dlsym(handle, "aoti_torch_abi_version"));
  char release[32];
  if (abi_version != nullptr) {
    const uint64_t version = abi_version();
    std::snprintf(release, sizeof release, "%u.%u.%u", static_cast<unsigned>(version >> 56 & 0xff),
                  static_cast<unsigned>(version >> 48 & 0xff), static_cast<unsigned>(version >> 40 & 0xff));
  }
  dlclose(handle);
  return StringOrNull(env, abi_version != nullptr ? release : nullptr);
}

napi_value Init(napi_env env, napi_value exports) {
  char release[32];
  std::snprintf(release, sizeof release, "%d.%d.%d", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR,
                TORCH_VERSION_PATCH);
  const napi_property_descriptor properties[] = {
      {"builtFor", nullptr, nullptr, nullptr, nullptr, StringOrNull(env, release), napi_enumerable, nullptr},
      {"open", nullptr, Open, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"loadedFile", nullptr, LoadedFile, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"releaseOf", nullptr, ReleaseOf, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties);
  return exports;
}

}  // namespace

NAPI_MODULE(libtorch_loader, Init)
