#!/usr/bin/env node
import { main } from "./cli/vtepd.ts";

await main();
