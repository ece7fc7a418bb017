// Native errors as JavaScript errors. JS thread only.
#pragma once

#include <napi.h>

#include "runtime/error.h"
#include "runtime/openmp_threads.h"

namespace sam3_tracker {

// The JavaScript error for a NativeError: a RangeError for kInvalidArgument, otherwise an Error with `code`
// and, where there is more to say, `details`.
Napi::Error ToJsError(Napi::Env env, const NativeError& error);

// Runs a function on the JS thread and turns native exceptions into JavaScript ones. Where it copies a large
// tensor, the threads that helped are gone at its end: the model's would be slowed by them from then on.
template <typename Function>
auto Guarded(Napi::Env env, Function function) -> decltype(function()) {
  const OpenMpThreadsScope threads;
  try {
    return function();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw ToJsError(env, DescribeCurrentException());
  }
}

}  // namespace sam3_tracker
