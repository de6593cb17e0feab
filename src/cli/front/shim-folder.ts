/**
 * A folder of wrappers to be put first in PATH. A wrapper is a script of sh, because most lines of a host never concern a
 * tunnel: it hands those to the real program at once, without starting Node.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { VtepdError } from "../../errors.ts";
import { LINK_TYPES } from "../grammar/link-types.ts";
import { VTEPCTL } from "../programs.ts";
import type { Front } from "./front.ts";
import { SHIM_MARK } from "./real-program.ts";

const PROGRAMS = ["ip", "bridge", "brctl"] as const;
const HEAD = '# Made by "vtepctl shim"; "vtepctl shim --remove" takes it away.';
const USAGE = "Usage: vtepctl shim [ --remove ] DIR";

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** sh: whether a line of `ip` may be ours. Options first, then object, verb and what tells. */
const IP = `concerns() {
  detailed=
  while :; do
    case \${1-} in
      -b | -ba* | --b | --ba*) return 0 ;;
      -d | -de* | --d | --de*) detailed=1 ;;
      -n | -ne* | -l | -lo* | -f | -fa* | -rc* | --n | --ne* | --l | --lo* | --f | --fa* | --rc*)
        [ $# -ge 2 ] || return 1
        shift ;;
      -*) ;;
      *) break ;;
    esac
    shift
  done
  case \${1-} in
    l | li | lin | link) ;;
    a | ad | add | addr | addre | addres | address)
      case \${2-} in
        '' | s | sh* | l*) ;;
        *) return 1 ;;
      esac ;;
    t | tu | tun | tunn | tunne | tunnel | tunl) return 0 ;;
    *) return 1 ;;
  esac
  case \${2-} in
    d | de*) return 0 ;;
    '' | s | sh* | l*) [ -z "$detailed" ] || return 0 ;;
  esac
  for word; do
    case $word in ${LINK_TYPES.map(({ name }) => name).join(" | ")}) return 0 ;; esac
  done
  return 1
}`;

/** sh: the same for \`bridge\`. */
const BRIDGE = `concerns() {
  while :; do
    case \${1-} in
      -b | -ba* | --b | --ba*) return 0 ;;
      -n | -ne* | --n | --ne*)
        [ $# -ge 2 ] || return 1
        shift ;;
      -*) ;;
      *) break ;;
    esac
    shift
  done
  case \${1-} in f | fd | fdb) return 0 ;; esac
  return 1
}`;

/** sh: without a real \`brctl\`, all is ours. */
const BRCTL = "concerns() { return 1; }";

const CONCERNS = { ip: IP, bridge: BRIDGE, brctl: BRCTL } as const;

const wrapper = (program: (typeof PROGRAMS)[number]): string => `#!/bin/sh
${HEAD}
set -f
${CONCERNS[program]}
if ! concerns "$@"; then
  before=$IFS
  IFS=:
  for folder in $PATH; do
    if [ -f "$folder/${program}" ] && [ -x "$folder/${program}" ] && [ ! -e "$folder/${SHIM_MARK}" ]; then
      IFS=$before
      exec "$folder/${program}" "$@"
    fi
  done
  IFS=$before
fi
exec ${quoted(process.execPath)} ${quoted(VTEPCTL)} ${program} "$@"
`;

/** Whether a file is one of ours, or nothing is there. */
const isOurs = (file: string): boolean => !existsSync(file) || readFileSync(file, "utf8").includes(HEAD);

/** @throws ERR_USAGE when something else is in the way */
const checkFolder = (folder: string): void => {
  const other = PROGRAMS.map((program) => join(folder, program)).find((file) => !isOurs(file));
  if (other !== undefined)
    throw new VtepdError("ERR_USAGE", `${other} is there and not made by vtepctl: name a folder of its own`);
};

const install = (folder: string): void => {
  mkdirSync(folder, { recursive: true });
  checkFolder(folder);
  writeFileSync(join(folder, SHIM_MARK), `${HEAD}\n`);
  for (const program of PROGRAMS) {
    const file = join(folder, program);
    writeFileSync(file, wrapper(program));
    chmodSync(file, 0o755);
  }
};

const remove = (folder: string): void => {
  checkFolder(folder);
  for (const name of [...PROGRAMS, SHIM_MARK]) rmSync(join(folder, name), { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Something else is in it, or it was not there.
  }
};

/** Returns the exit status. @throws ERR_USAGE */
export const shim = (argv: readonly string[], { io }: Front): number => {
  const isRemoval = argv[0] === "--remove" || argv[0] === "-remove";
  const [folder, ...more] = isRemoval ? argv.slice(1) : argv;
  if (argv[0] === "help") {
    io.out(`${USAGE}\n`);
    return 0;
  }
  if (folder === undefined || folder.startsWith("-") || more.length > 0) throw new VtepdError("ERR_USAGE", USAGE);
  const path = resolve(folder);
  if (isRemoval) remove(path);
  else {
    install(path);
    io.out(`export PATH=${quoted(path)}:$PATH\n`);
  }
  return 0;
};
