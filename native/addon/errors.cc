#include "addon/errors.h"

namespace sam3_tracker {

Napi::Error ToJsError(Napi::Env env, const NativeError& error) {
  if (error.code == ErrorCode::kInvalidArgument) return Napi::RangeError::New(env, error.message);
  Napi::Error js_error = Napi::Error::New(env, error.message);
  js_error.Value().Set("code", Napi::String::New(env, ErrorCodeName(error.code)));
  if (!error.details.empty()) js_error.Value().Set("details", Napi::String::New(env, error.details));
  return js_error;
}

}  // namespace sam3_tracker
