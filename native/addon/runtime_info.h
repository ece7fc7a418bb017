// The loaded libtorch: version, threads, devices; and the settings that hold for the whole process.
#pragma once

#include <napi.h>

namespace sam3_tracker {

// Settings made once a process, before the first graph runs.
void PrepareRuntime();

Napi::Value RuntimeInfo(const Napi::CallbackInfo& info);

// setThreads(count): threads that one operation on the CPU uses.
void SetThreads(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
