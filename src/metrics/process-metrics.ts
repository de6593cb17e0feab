/**
 * The process_* and nodejs_* families, by prom-client, in a registry of their own: the global one could be filled by
 * anybody. Made once per process, because prom-client starts observers (event loop, garbage collector) that it never stops.
 */
import { collectDefaultMetrics, Registry } from "prom-client";

/** Gauges that are named like counters; `promtool check metrics` objects, and their parts are exported anyway. */
const MISNAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

let registry: Registry | undefined;

const makeRegistry = (): Registry => {
  const made = new Registry();
  collectDefaultMetrics({ register: made });
  for (const name of MISNAMED) made.removeSingleMetric(name);
  return made;
};

/** Exposition text. */
export const renderProcessMetrics = (): Promise<string> => {
  registry ??= makeRegistry();
  return registry.metrics();
};
