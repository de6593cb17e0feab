/**
 * Every data-plane metric: name, type, help and labels. The names and units are Prometheus's (base units, `_total` for
 * counters, receive and transmit as node_exporter says them); a packet here is what the overlay device carries. Labels
 * come from closed sets or from the configuration: never a MAC or an inner address, of which there is no end.
 */

export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly labels: readonly string[];
}

const gauge = (name: string, help: string, ...labels: string[]): Metric => ({ name, type: "gauge", help, labels });
const counter = (name: string, help: string, ...labels: string[]): Metric => ({ name, type: "counter", help, labels });

export const BUILD_INFO: Metric = gauge(
  "vtepd_build_info",
  "Version of vtepd and of Node.js; always 1.",
  "version",
  "node",
);

export const LINK_INFO: Metric = gauge(
  "vtepd_link_info",
  "What a tunnel is; always 1.",
  "link",
  "mode",
  "vni",
  "local",
  "port",
);
export const LINK_UP: Metric = gauge(
  "vtepd_link_up",
  "1 while the tunnel's device exists, 0 after it was deleted.",
  "link",
);
export const LINK_UNDERLAY_UP: Metric = gauge(
  "vtepd_link_underlay_up",
  "0 while the tunnel waits for an interface, an address or a route of the underlay.",
  "link",
);
export const LINK_RECEIVE_PACKETS: Metric = counter(
  "vtepd_link_receive_packets_total",
  "Packets that came out of the tunnel.",
  "link",
);
export const LINK_RECEIVE_BYTES: Metric = counter(
  "vtepd_link_receive_bytes_total",
  "Bytes that came out of the tunnel, inner headers included.",
  "link",
);
export const LINK_TRANSMIT_PACKETS: Metric = counter(
  "vtepd_link_transmit_packets_total",
  "Packets that went into the tunnel.",
  "link",
);
export const LINK_TRANSMIT_BYTES: Metric = counter(
  "vtepd_link_transmit_bytes_total",
  "Bytes that went into the tunnel, inner headers included.",
  "link",
);
export const LINK_DROPS: Metric = counter(
  "vtepd_link_drops_total",
  "Packets of a tunnel that were dropped; encap = into the tunnel, decap = out of it.",
  "link",
  "direction",
  "reason",
);
export const FLOOD_PACKETS: Metric = counter(
  "vtepd_flood_packets_total",
  "Broadcast, unknown unicast and multicast packets that were copied to the flood list.",
  "link",
);

export const SOCKET_DROPS: Metric = counter(
  "vtepd_socket_drops_total",
  "Datagrams that were dropped before their tunnel was known.",
  "socket",
  "reason",
);

export const FDB_ENTRIES: Metric = gauge(
  "vtepd_fdb_entries",
  "FDB entries; origin is learned or static.",
  "link",
  "origin",
);
export const FDB_LIMIT: Metric = gauge("vtepd_fdb_limit", "Most learned FDB entries a tunnel may have.", "link");
export const FDB_CAPACITY: Metric = gauge("vtepd_fdb_capacity", "Room of the FDB table that all tunnels share.");
export const FDB_LEARNS: Metric = counter("vtepd_fdb_learns_total", "MAC addresses that were learned.", "link");
export const FDB_MOVES: Metric = counter(
  "vtepd_fdb_moves_total",
  "Learned MAC addresses that appeared behind another remote VTEP.",
  "link",
);
export const FDB_MOVES_DAMPED: Metric = counter(
  "vtepd_fdb_moves_damped_total",
  "Packets whose MAC address was held where it is although it appeared behind another remote VTEP.",
  "link",
);
export const FDB_AGED: Metric = counter("vtepd_fdb_aged_total", "Learned FDB entries that aged out.", "link");
export const FDB_FULL: Metric = counter(
  "vtepd_fdb_full_total",
  "MAC addresses that were not learned because the limit or the table was full.",
  "link",
);
export const FDB_REMOTE_FULL: Metric = counter(
  "vtepd_fdb_remote_full_total",
  "MAC addresses that were not learned because their remote VTEP had all the entries it may have.",
  "link",
);
export const FDB_EVICTED: Metric = counter(
  "vtepd_fdb_evicted_total",
  "Learned FDB entries that made room for remote VTEPs with fewer.",
  "link",
);
export const REMOTE_FDB_ENTRIES: Metric = gauge(
  "vtepd_remote_fdb_entries",
  "FDB entries learned from a remote VTEP.",
  "link",
  "remote",
);

export const REMOTE_PATH_MTU: Metric = gauge(
  "vtepd_remote_path_mtu_bytes",
  "Largest packet that the underlay carries to a remote VTEP, as far as anybody knows.",
  "link",
  "remote",
);

export const LINK_RESERVED_BITS: Metric = counter(
  "vtepd_link_unexpected_header_packets_total",
  "Accepted packets with a reserved bit set in the tunnel header.",
  "link",
);

export const LINK_NEIGHBOUR_ANSWERS: Metric = counter(
  "vtepd_link_neighbour_answers_total",
  "ARP requests and neighbour solicitations that were answered here instead of flooded.",
  "link",
);
export const LINK_KEEPALIVES: Metric = counter(
  "vtepd_link_keepalives_total",
  "GRE keepalives of remote VTEPs that were answered here.",
  "link",
);

export const REMOTE_RECEIVE_PACKETS: Metric = counter(
  "vtepd_remote_receive_packets_total",
  "Packets that came from a remote VTEP.",
  "link",
  "remote",
);
export const REMOTE_RECEIVE_BYTES: Metric = counter(
  "vtepd_remote_receive_bytes_total",
  "Bytes that came from a remote VTEP, inner headers included.",
  "link",
  "remote",
);
export const REMOTE_TRANSMIT_PACKETS: Metric = counter(
  "vtepd_remote_transmit_packets_total",
  "Packets that went to a remote VTEP.",
  "link",
  "remote",
);
export const REMOTE_TRANSMIT_BYTES: Metric = counter(
  "vtepd_remote_transmit_bytes_total",
  "Bytes that went to a remote VTEP, inner headers included.",
  "link",
  "remote",
);

export const WORKER_WAKEUPS: Metric = counter(
  "vtepd_worker_wakeups_total",
  "Returns from epoll of a data-plane worker.",
  "worker",
);
export const WORKER_BATCHES: Metric = counter(
  "vtepd_worker_batches_total",
  "Batches a data-plane worker received.",
  "worker",
);
export const WORKER_FRAMES: Metric = counter(
  "vtepd_worker_frames_total",
  "Frames a data-plane worker received; a superframe counts once.",
  "worker",
);
export const WORKER_RECEIVE_OVERFLOW: Metric = counter(
  "vtepd_worker_receive_overflow_total",
  "Datagrams the kernel dropped because a socket's receive buffer was full.",
  "worker",
);
export const WORKER_RECEIVE_ERRORS: Metric = counter(
  "vtepd_worker_receive_errors_total",
  "Receives that failed for another reason than an empty queue.",
  "worker",
);

export const OFFLOAD_INFO: Metric = gauge(
  "vtepd_offload_info",
  "1; the tier that carries frames through the kernel.",
  "tier",
);
export const CAPABILITY: Metric = gauge("vtepd_capability", "Whether a single offload is in use.", "name", "reason");
export const SEGMENT_REFUSED: Metric = counter(
  "vtepd_segment_refused_total",
  "Sends with UDP_SEGMENT that the kernel refused and that were repeated datagram by datagram.",
);
export const SEGMENT_LOST: Metric = counter(
  "vtepd_segment_lost_total",
  "Sockets that gave UDP_SEGMENT up because it was refused again and again.",
);

export const JOURNAL_BYTES: Metric = gauge("vtepd_journal_bytes", "Bytes of the records in the journal of changes.");
export const JOURNAL_FAILED: Metric = gauge(
  "vtepd_journal_failed",
  "1 while changes are refused because they cannot be kept.",
);
export const LAST_RELOAD_SUCCESSFUL: Metric = gauge(
  "vtepd_config_last_reload_successful",
  "Whether the configuration was brought into effect the last time somebody asked for it.",
);
export const LAST_RELOAD_SUCCESS_TIMESTAMP: Metric = gauge(
  "vtepd_config_last_reload_success_timestamp_seconds",
  "When the configuration was brought into effect last.",
);
