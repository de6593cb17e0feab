/** `stats` and `status`. */
import type { StatsJson, StatusJson } from "../../control/stats-json.ts";
import { statsText, statusText } from "../stats-text.ts";
import { type Commands, deviceQuery, print, type Run } from "./call.ts";

const showStats: Run = async (call) =>
  print(call, await call.client.getJson<StatsJson>(`/v1/stats${deviceQuery(call)}`), statsText);

const showStatus: Run = async (call) => print(call, await call.client.getJson<StatusJson>("/v1/status"), statusText);

export const statsCommands: Commands = { "stats show": showStats, "status show": showStatus };
