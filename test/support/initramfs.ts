/**
 * A root file system in memory for a Linux that boots under emulation: a cpio archive (format newc) of programs of this machine
 * with the libraries they ask for, kernel modules, and the first process's script.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";

const MODE_FOLDER = 0o040_755;
const MODE_PROGRAM = 0o100_755;
const TRAILER = "TRAILER!!!";

const padding = (bytes: number): Buffer => Buffer.alloc((4 - (bytes % 4)) % 4);

const entry = (name: string, mode: number, data: Buffer, inode: number): Buffer => {
  const bytes = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, bytes.length, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return Buffer.concat([head, bytes, padding(head.length + bytes.length), data, padding(data.length)]);
};

const archive = (files: ReadonlyMap<string, Buffer>): Buffer => {
  const folders = new Set<string>();
  for (const name of files.keys()) {
    for (let folder = dirname(name); folder !== "."; folder = dirname(folder)) folders.add(folder);
  }
  // A folder comes before what is in it: the shorter name sorts first.
  const entries = [...folders].sort().map((name, index) => entry(name, MODE_FOLDER, Buffer.alloc(0), index + 1));
  for (const [name, data] of files) entries.push(entry(name, MODE_PROGRAM, data, entries.length + 1));
  return Buffer.concat([...entries, entry(TRAILER, 0, Buffer.alloc(0), 0)]);
};

const lines = (command: string, args: readonly string[]): string[] =>
  execFileSync(command, args, { encoding: "utf8" }).split("\n").filter(Boolean);

/** Files of a module and of what it needs, in the order in which they are loaded. */
const moduleFiles = (release: string, module: string): string[] =>
  lines("modprobe", ["-S", release, "--ignore-install", "--show-depends", module])
    .filter((line) => line.startsWith("insmod "))
    .map((line) => line.split(" ")[1]!);

/**
 * @param programs by name; they are found as a shell would, and are in /bin there
 * @param modules of the kernel `release`, loaded before `script`, which is bash and never returns
 */
export const initramfs = (
  programs: readonly string[],
  release: string,
  modules: readonly string[],
  script: string,
): Buffer => {
  const files = new Map<string, Buffer>();
  for (const program of ["bash", "insmod", "mount", ...programs]) {
    const [path = program] = lines("which", [program]);
    files.set(`bin/${program}`, readFileSync(path));
    for (const line of lines("ldd", [path])) {
      const library = /(\/\S+) \(0x/.exec(line)?.[1];
      if (library !== undefined) files.set(library.slice(1), readFileSync(library));
    }
  }
  const loaded = [...new Set(modules.flatMap((module) => moduleFiles(release, module)))];
  for (const [index, file] of loaded.entries()) files.set(`modules/${index}`, readFileSync(file));
  const start = `#!/bin/bash
export PATH=/bin HOME=/ TERM=dumb LC_ALL=C
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in ${loaded.map((_, index) => `/modules/${index}`).join(" ")}; do insmod "$module"; done
${script}`;
  files.set("init", Buffer.from(start));
  for (const folder of ["proc", "sys", "dev"]) files.set(`${folder}/.keep`, Buffer.alloc(0));
  return archive(files);
};
