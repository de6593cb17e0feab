#!/usr/bin/env node
import { main } from "./cli/vtepctl.ts";

await main();
