{
  "variables": { "shipped": ["<!@(find binding core -name '*.c' | sort)"] },
  "target_defaults": {
    "include_dirs": ["binding", "core"],
    "defines": ["NAPI_VERSION=8", "_GNU_SOURCE", "_FILE_OFFSET_BITS=64"],
    "cflags_c": ["-std=c17", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-fvisibility=hidden"],
    "libraries": ["-pthread"],
    # Node unloads an add-on with the last thread that has loaded it, but a log's own thread may run its code for longer.
    "ldflags": ["-Wl,-z,nodelete"]
  },
  "targets": [{ "target_name": "pagerelay", "sources": ["<@(shipped)"] }],
  "conditions": [
    # The package has no such folder: what tests alone may do is not in it.
    ["'<!(test -d testing && echo there || echo none)' == 'there'", {
      "targets": [{
        "target_name": "pagerelay_testing",
        "sources": ["<@(shipped)", "testing/entries.c", "testing/faults.c"],
        "defines": ["PR_TESTING"]
      }]
    }]
  ]
}
