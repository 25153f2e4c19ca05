{
  "targets": [
    {
      "target_name": "pagerelay",
      "sources": [
        "binding/binding.c",
        "binding/call.c",
        "binding/connections.c",
        "binding/counters.c",
        "binding/generations.c",
        "binding/holds.c",
        "binding/jobs.c",
        "binding/leases.c",
        "binding/process.c",
        "binding/relays.c",
        "binding/segments.c",
        "binding/values.c",
        "core/backing.c",
        "core/claim.c",
        "core/connection.c",
        "core/discard.c",
        "core/done.c",
        "core/engine.c",
        "core/file.c",
        "core/generation.c",
        "core/hold.c",
        "core/inode.c",
        "core/lane.c",
        "core/ledger.c",
        "core/nodes.c",
        "core/nudge.c",
        "core/overwrite.c",
        "core/peer.c",
        "core/press.c",
        "core/relay.c",
        "core/slots.c",
        "core/sys.c",
        "core/transmission.c",
        "core/witness.c",
        "core/zerocopy.c"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE", "_FILE_OFFSET_BITS=64"],
      "cflags_c": ["-std=c17", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-fvisibility=hidden"],
      "libraries": ["-pthread"]
    }
  ]
}
