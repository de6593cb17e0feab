/** What a frame's decision costs between `receive` and `send`, in full batches, with random destinations. */
import { FRAME_DST_HI, FRAME_DST_LO, FRAME_SRC_HI, FRAME_SRC_LO, FRAME_WORDS } from "../../src/binding/abi.ts";
import { MemoryVtep } from "../../test/support/memory-io.ts";
import { bench } from "../micro.ts";

const HI = 0x0200;
/** A TAP's turn. */
const BATCH = 64;
const STRIDE = 0x9e3779b1;
const FRAMES = 2_000_000;

/** A VTEP with so many learned entries behind two remotes, and a batch whose MACs change from run to run. */
const setUp = (entries: number, direction: "encap" | "decap") => {
  const vtep = new MemoryVtep(Math.max(entries, 1024));
  const { bd, port } = vtep.tunnel(42, { limit: 0 });
  const remotes = ["192.0.2.2", "192.0.2.3"].map((address) => vtep.remote(bd, address, 42));
  vtep.flood(bd, remotes);
  for (let mac = 0; mac < entries; mac++) vtep.tables.fdb.learn(bd, HI, mac, remotes[0]!, vtep.nowS);
  for (let n = 0; n < BATCH; n++) {
    if (direction === "encap") vtep.fromTap({ port, dst: "02:00:00:00:00:01", hash: n });
    else vtep.fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: "02:00:00:00:00:01" });
  }
  const [hi, lo] = direction === "encap" ? [FRAME_DST_HI, FRAME_DST_LO] : [FRAME_SRC_HI, FRAME_SRC_LO];
  const { frames } = vtep.batch;
  let next = 0;
  const renew = (): void => {
    for (let row = 0; row < BATCH * FRAME_WORDS; row += FRAME_WORDS) {
      frames[row + hi] = HI;
      frames[row + lo] = Math.imul(next++, STRIDE) & (entries - 1);
    }
  };
  const { forwarder } = vtep.withoutRecording();
  return { forwarder, renew, frames };
};

for (const entries of [1024, 65_536, 1_048_576]) {
  bench(`classify frame batch=${BATCH} entries=${entries}`, { iterations: FRAMES, thresholdNs: 250 }, () => {
    const { forwarder, renew, frames } = setUp(entries, "encap");
    return (iterations) => {
      for (let n = 0; n < iterations; n += BATCH) {
        renew();
        forwarder.classify(BATCH);
      }
      return frames[FRAME_DST_LO]!;
    };
  });
  bench(
    `classify+encap frame batch=${BATCH} entries=${entries}`,
    { iterations: FRAMES, thresholdNs: entries === 65_536 ? 60 : 250 },
    () => {
      const { forwarder, renew, frames } = setUp(entries, "encap");
      return (iterations) => {
        for (let n = 0; n < iterations; n += BATCH) {
          renew();
          forwarder.forward(BATCH);
        }
        return frames[FRAME_DST_LO]!;
      };
    },
  );
}

for (const entries of [1024, 65_536]) {
  bench(`decap+learn frame batch=${BATCH} entries=${entries}`, { iterations: FRAMES, thresholdNs: 250 }, () => {
    const { forwarder, renew, frames } = setUp(entries, "decap");
    return (iterations) => {
      for (let n = 0; n < iterations; n += BATCH) {
        renew();
        forwarder.forward(BATCH);
      }
      return frames[FRAME_SRC_LO]!;
    };
  });
}
