/** The whole answer to a scrape: the data plane first, then the process. */
import type { VtepService } from "../dataplane/view.ts";
import { renderMetrics } from "./data-plane.ts";
import { renderProcessMetrics } from "./process-metrics.ts";

export const scrape = async (service: VtepService): Promise<string> =>
  renderMetrics(service) + (await renderProcessMetrics());
