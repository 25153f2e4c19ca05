/* From JavaScript values to C and back. Every `want_` throws a TypeError that names the argument, and returns false. */
#ifndef PR_VALUES_H
#define PR_VALUES_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool is_string(napi_env env, napi_value value);

/* A safe integer from 0 to `most`. */
bool want_integer(napi_env env, napi_value value, const char *name, uint64_t most, uint64_t *integer);
/* A safe integer of either sign. */
bool want_whole(napi_env env, napi_value value, const char *name, int64_t *whole);
bool want_boolean(napi_env env, napi_value value, const char *name, bool *boolean);
/* A NUMA node, or -1 for none. */
bool want_node(napi_env env, napi_value value, int *node);
bool want_seconds(napi_env env, napi_value value, const char *name, double *seconds);

/* The bytes of a Uint8Array, valid while it is kept. */
bool want_bytes(napi_env env, napi_value value, const char *name, void **bytes, size_t *length);
/* The numbers of a Float64Array, valid while it is kept. */
bool want_numbers(napi_env env, napi_value value, const char *name, double **numbers, size_t *count);

/* UTF-8 without NUL, at most `capacity` - 1 bytes. */
bool want_string(napi_env env, napi_value value, const char *name, char *buffer, size_t capacity);

/* One of `count` names; gives its place. */
bool want_name(napi_env env, napi_value value, const char *name, const char *const *names, size_t count, int *place);
bool want_function(napi_env env, napi_value value, const char *name);

/* A property that may be missing: then *value is NULL. */
bool optional_property(napi_env env, napi_value object, const char *key, napi_value *value);
bool want_property(napi_env env, napi_value object, const char *key, napi_value *value);
bool integer_property(napi_env env, napi_value object, const char *key, uint64_t most, uint64_t *integer);
bool boolean_property(napi_env env, napi_value object, const char *key, bool *boolean);
bool string_property(napi_env env, napi_value object, const char *key, char *buffer, size_t capacity);

napi_value number(napi_env env, double value);
napi_value string(napi_env env, const char *value);
void set(napi_env env, napi_value object, const char *key, napi_value value);
void set_number(napi_env env, napi_value object, const char *key, double value);

#endif
