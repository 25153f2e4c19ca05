#include "values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool refuse(napi_env env, const char *name, const char *rule) {
    char message[160];
    snprintf(message, sizeof message, "%s must be %s", name, rule);
    napi_throw_type_error(env, "ERR_INVALID_ARG", message);
    return false;
}

static bool is(napi_env env, napi_value value, napi_valuetype wanted) {
    napi_valuetype type;
    return value && napi_typeof(env, value, &type) == napi_ok && type == wanted;
}

bool is_string(napi_env env, napi_value value) {
    return is(env, value, napi_string);
}

static bool want_between(napi_env env, napi_value value, const char *name, double least, double most, double *given) {
    if (!is(env, value, napi_number) || napi_get_value_double(env, value, given) != napi_ok)
        return refuse(env, name, "a number");
    return *given >= least && *given <= most && floor(*given) == *given ? true
                                                                        : refuse(env, name, "an integer in range");
}

bool want_integer(napi_env env, napi_value value, const char *name, uint64_t most, uint64_t *integer) {
    double given;
    if (!want_between(env, value, name, 0, (double)most, &given)) return false;
    *integer = (uint64_t)given;
    return true;
}

bool want_whole(napi_env env, napi_value value, const char *name, int64_t *whole) {
    double given;
    if (!want_between(env, value, name, -9007199254740991.0, 9007199254740991.0, &given)) return false;
    *whole = (int64_t)given;
    return true;
}

bool want_boolean(napi_env env, napi_value value, const char *name, bool *boolean) {
    if (!is(env, value, napi_boolean)) return refuse(env, name, "a boolean");
    return napi_get_value_bool(env, value, boolean) == napi_ok;
}

bool want_node(napi_env env, napi_value value, int *node) {
    double given;
    if (!want_between(env, value, "node", -1, INT16_MAX, &given)) return false;
    *node = (int)given;
    return true;
}

bool want_seconds(napi_env env, napi_value value, const char *name, double *seconds) {
    if (!is(env, value, napi_number) || napi_get_value_double(env, value, seconds) != napi_ok)
        return refuse(env, name, "a number of seconds");
    return *seconds > 0 && *seconds < 1e9 ? true : refuse(env, name, "a positive number of seconds");
}

static bool is_array_of(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *count) {
    bool typed = false;
    napi_typedarray_type type;
    napi_value buffer;
    size_t offset;
    return value && napi_is_typedarray(env, value, &typed) == napi_ok && typed &&
           napi_get_typedarray_info(env, value, &type, count, data, &buffer, &offset) == napi_ok && type == wanted;
}

bool want_bytes(napi_env env, napi_value value, const char *name, void **bytes, size_t *length) {
    return is_array_of(env, value, napi_uint8_array, bytes, length) || refuse(env, name, "a Uint8Array");
}

bool want_numbers(napi_env env, napi_value value, const char *name, double **numbers, size_t *count) {
    void *data = NULL;
    if (!is_array_of(env, value, napi_float64_array, &data, count)) return refuse(env, name, "a Float64Array");
    *numbers = data;
    return true;
}

bool want_string(napi_env env, napi_value value, const char *name, char *buffer, size_t capacity) {
    size_t length = 0;
    if (!is(env, value, napi_string)) return refuse(env, name, "a string");
    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length >= capacity)
        return refuse(env, name, "a shorter string");
    if (napi_get_value_string_utf8(env, value, buffer, capacity, &length) != napi_ok || strlen(buffer) != length)
        return refuse(env, name, "a string without NUL");
    return true;
}

bool want_name(napi_env env, napi_value value, const char *name, const char *const *names, size_t count, int *place) {
    char buffer[32]; /* what is longer is cut, and no name is so long */
    size_t length;
    if (napi_get_value_string_utf8(env, value, buffer, sizeof buffer, &length) != napi_ok)
        return refuse(env, name, "a string");
    for (size_t index = 0; index < count; index++) {
        if (strlen(names[index]) != length || memcmp(names[index], buffer, length) != 0) continue;
        *place = (int)index;
        return true;
    }
    return refuse(env, name, "one of the known names");
}

bool want_function(napi_env env, napi_value value, const char *name) {
    return is(env, value, napi_function) ? true : refuse(env, name, "a function");
}

bool optional_property(napi_env env, napi_value object, const char *key, napi_value *value) {
    *value = NULL;
    if (!is(env, object, napi_object)) return refuse(env, "options", "an object");
    if (napi_get_named_property(env, object, key, value) != napi_ok) return false;
    if (is(env, *value, napi_undefined)) *value = NULL;
    return true;
}

bool want_property(napi_env env, napi_value object, const char *key, napi_value *value) {
    if (!optional_property(env, object, key, value)) return false;
    return *value ? true : refuse(env, key, "given");
}

bool integer_property(napi_env env, napi_value object, const char *key, uint64_t most, uint64_t *integer) {
    napi_value value;
    return want_property(env, object, key, &value) && want_integer(env, value, key, most, integer);
}

bool boolean_property(napi_env env, napi_value object, const char *key, bool *boolean) {
    napi_value value;
    return want_property(env, object, key, &value) && want_boolean(env, value, key, boolean);
}

bool string_property(napi_env env, napi_value object, const char *key, char *buffer, size_t capacity) {
    napi_value value;
    return want_property(env, object, key, &value) && want_string(env, value, key, buffer, capacity);
}

napi_value number(napi_env env, double value) {
    napi_value result = NULL;
    napi_create_double(env, value, &result);
    return result;
}

napi_value string(napi_env env, const char *value) {
    napi_value result = NULL;
    napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
    return result;
}

void set(napi_env env, napi_value object, const char *key, napi_value value) {
    napi_set_named_property(env, object, key, value);
}

void set_number(napi_env env, napi_value object, const char *key, double value) {
    set(env, object, key, number(env, value));
}
